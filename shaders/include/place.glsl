/* place.glsl: what a product knows of an output row, an output column or a k (tile.glsl). */
#ifndef ACTC_PLACE_GLSL
#define ACTC_PLACE_GLSL

/* Each kernel says what it puts where; `exists` is 0 for rows and columns that are outside. */
struct tile_place {
    uint index; /* in memory */
    uint z, y, x;
    uint other;
    uint exists;
};

#endif
