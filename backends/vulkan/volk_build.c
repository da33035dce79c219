/* volk_build.c: the one unit that compiles volk, under names with the library's prefix (volk_names.h): its own are those
 * of libvulkan, which a program that links libactc.a may link too. */
#define VK_NO_PROTOTYPES
#include "volk_names.h"
#if defined(__GNUC__)
/* not this project's code: only its warnings are silenced */
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wpedantic"
#endif
#define VOLK_IMPLEMENTATION
#include <volk.h>
