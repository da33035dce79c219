/* memory_cells.c: tables of the published numbers and ours, as text or markdown. */
#include <string.h>

#include "memory_table.h"

void memory_cells_row(memory_cells *cells, const char *const *texts)
{
    const size_t columns = strlen(cells->table.align);
    if (cells->markdown)
        fputc('|', tool_output());
    for (size_t i = 0; i < columns; i++) {
        if (cells->markdown)
            fprintf(tool_output(), " %s |", texts[i]);
        else
            tool_table_add(&cells->table, "%s", texts[i]);
    }
    if (cells->markdown)
        fputc('\n', tool_output());
}

void memory_cells_head(memory_cells *cells, const char *const *texts)
{
    memory_cells_row(cells, texts);
    if (!cells->markdown)
        return;
    fputc('|', tool_output());
    for (const char *align = cells->table.align; *align; align++)
        fputs(*align == 'r' ? "---:|" : "---|", tool_output());
    fputc('\n', tool_output());
}

void memory_cells_end(memory_cells *cells)
{
    if (cells->markdown)
        fputc('\n', tool_output());
    else
        tool_table_print(tool_output(), &cells->table);
}

char *memory_mib_text(double mib, char *text, size_t size)
{
    if (mib < 0)
        snprintf(text, size, "-");
    else
        snprintf(text, size, "%.1f", mib);
    return text;
}
