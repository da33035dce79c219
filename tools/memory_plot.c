/* memory_plot.c: live bytes over the commands of a training step, as text and as SVG. */
#include "memory_plot.h"

#include <errno.h>
#include <math.h>
#include <string.h>

const char *const memory_phases[PHASES] = {"forward", "backward", "update"};

/* ---- text ---- */

#define BAR 24
#define LABEL 30

static size_t rows_of(const memory_plan *plan, size_t commands_a_row)
{
    size_t rows = 0;
    for (int p = 0; p < PHASES; p++)
        rows += (plan->phases[p + 1] - plan->phases[p] + commands_a_row - 1) / commands_a_row;
    return rows;
}

static void add_row(tool_table *table, const memory_plan *plan, int phase, size_t first, size_t end, uint64_t full_bytes)
{
    char bar[BAR + 1], label[LABEL + 1];
    size_t most = first;
    for (size_t i = first; i < end; i++)
        if (plan->points[i].live_bytes > plan->points[most].live_bytes)
            most = i;
    const memory_point *point = &plan->points[most];
    int filled = full_bytes ? (int)((double)point->live_bytes / (double)full_bytes * BAR + 0.5) : 0;
    memset(bar, '.', BAR);
    memset(bar, '#', (size_t)(filled < BAR ? filled : BAR));
    bar[BAR] = '\0';
    snprintf(label, sizeof label, "%s", point->label);
    if (strlen(point->label) > LABEL)
        strcpy(label + LABEL - 3, "...");
    tool_table_add(table, "%s", first == plan->phases[phase] ? memory_phases[phase] : "");
    tool_table_add(table, "%s", BYTES_TEXT(point->live_bytes));
    tool_table_add(table, "%s", bar);
    tool_table_add(table, "%s", label);
}

void memory_print_chart(FILE *stream, const memory_plan *plan, uint64_t full_bytes)
{
    tool_table table = {.align = "lrll"};
    size_t step = 1;
    while (rows_of(plan, step) > MEMORY_ROWS)
        step++;
    fprintf(stream, "live bytes, %zu command%s a row, each with its largest; a full bar is %s\n", step, step > 1 ? "s" : "",
            BYTES_TEXT(full_bytes));
    for (int p = 0; p < PHASES; p++)
        for (size_t i = plan->phases[p]; i < plan->phases[p + 1]; i += step)
            add_row(&table, plan, p, i, i + step < plan->phases[p + 1] ? i + step : plan->phases[p + 1], full_bytes);
    tool_table_print(stream, &table);
}

/* ---- SVG ---- */

enum { WIDTH = 960, HEIGHT = 540, LEFT = 90, RIGHT = 20, TOP = 90, BOTTOM = 60, TICKS = 6 };

typedef struct plot {
    FILE *file;
    double least_step;          /* a tick of y, in units */
    double unit, top;           /* bytes; units at the upper edge */
    const char *unit_name;
    double phases[PHASES + 1];  /* commands where each begins: of the plan that has the most of it */
} plot;

/* Text of an element: what XML does not allow becomes '?', and a long text is cut. */
static void put_text(FILE *file, const char *text, size_t most)
{
    bool utf8 = tool_is_utf8(text);
    size_t length = strlen(text), end = length <= most ? length : most;
    while (end < length && end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80)
        end--;
    for (size_t i = 0; i < end; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '&')
            fputs("&amp;", file);
        else if (c == '<')
            fputs("&lt;", file);
        else if (c == '>')
            fputs("&gt;", file);
        else if (c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8))
            fputc('?', file);
        else if (!strncmp(text + i, "\xef\xbf\xbe", 3) || !strncmp(text + i, "\xef\xbf\xbf", 3))
            fputc('?', file), i += 2;
        else
            fputc(c, file);
    }
    if (end < length)
        fputs("...", file);
}

static double x_of(const plot *p, double command)
{
    return LEFT + (WIDTH - LEFT - RIGHT) * command / (p->phases[PHASES] > 0 ? p->phases[PHASES] : 1);
}

static double y_of(const plot *p, double units)
{
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * units / p->top;
}

/* A step for about TICKS ticks: 1, 2 or 5 times a power of ten. */
static double nice_step(double range)
{
    double step = pow(10, floor(log10(range / TICKS)));
    const double times[] = {1, 2, 5, 10};
    for (int i = 0; i < 4; i++)
        if (range / (step * times[i]) <= TICKS)
            return step * times[i];
    return step * 10;
}

static void scale(plot *p, const memory_plan *plan, const memory_plan *other)
{
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    const memory_plan *const plans[] = {plan, other};
    double most = 1;
    int unit = 0;
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; plans[k] && i < plans[k]->count; i++)
            most = fmax(most, (double)plans[k]->points[i].live_bytes);
    for (p->unit = 1; most / p->unit >= 1024 && unit < 4; unit++)
        p->unit *= 1024;
    p->unit_name = names[unit];
    p->least_step = nice_step(most / p->unit);
    p->top = ceil(most / p->unit / p->least_step) * p->least_step;
    for (int k = 0; k < PHASES; k++) {
        size_t a = plan->phases[k + 1] - plan->phases[k], b = other ? other->phases[k + 1] - other->phases[k] : 0;
        p->phases[k + 1] = p->phases[k] + (double)(a > b ? a : b);
    }
}

static void axes(const plot *p)
{
    FILE *f = p->file;
    fputs("<g stroke=\"#bbbbbb\" stroke-width=\"1\">\n", f);
    for (double y = 0; y <= p->top * 1.0001; y += p->least_step)
        fprintf(f, "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/>\n", LEFT, y_of(p, y), WIDTH - RIGHT, y_of(p, y));
    for (int k = 1; k < PHASES; k++)
        fprintf(f, "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke-dasharray=\"2 3\"/>\n", x_of(p, p->phases[k]), TOP,
                x_of(p, p->phases[k]), HEIGHT - BOTTOM);
    fputs("</g>\n", f);
    for (double y = 0; y <= p->top * 1.0001; y += p->least_step)
        fprintf(f, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n", LEFT - 8, y_of(p, y) + 4, y);
    double step = fmax(1, nice_step(fmax(p->phases[PHASES], 1)));
    for (double x = 0; x <= p->phases[PHASES]; x += step)
        fprintf(f, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>\n", x_of(p, x), HEIGHT - BOTTOM + 18, x);
    for (int k = 0; k < PHASES - 1; k++) /* the update is a command or two */
        fprintf(f, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\" fill=\"#555555\">%s</text>\n",
                x_of(p, (p->phases[k] + p->phases[k + 1]) / 2), TOP - 6, memory_phases[k]);
    fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">command of the training step</text>\n", (LEFT + WIDTH - RIGHT) / 2,
            HEIGHT - BOTTOM + 42);
    fprintf(f, "<text transform=\"translate(24 %d) rotate(-90)\" text-anchor=\"middle\">live memory / %s</text>\n",
            (TOP + HEIGHT - BOTTOM) / 2, p->unit_name);
}

/* Each phase is stretched to the width that the plan with more commands gives it, so that the two can be compared. */
static void curve(const plot *p, const memory_plan *plan, const char *style)
{
    fprintf(p->file, "<path %s fill=\"none\" d=\"", style);
    bool begun = false;
    for (int k = 0; k < PHASES; k++) {
        double n = (double)(plan->phases[k + 1] - plan->phases[k]), width = p->phases[k + 1] - p->phases[k];
        for (size_t i = plan->phases[k]; i < plan->phases[k + 1]; i++) {
            double x = p->phases[k] + width * (double)(i - plan->phases[k]) / n, y = y_of(p, (double)plan->points[i].live_bytes / p->unit);
            fprintf(p->file, begun ? "V%.1fH%.1f" : "M%.1f %.1fH", begun ? y : x_of(p, x), begun ? x_of(p, x + width / n) : y);
            if (!begun)
                fprintf(p->file, "%.1f", x_of(p, x + width / n));
            begun = true;
        }
    }
    fputs("\"/>\n", p->file);
}

static void legend(const plot *p, int row, const memory_plan *plan, const char *style, const char *title)
{
    int y = 44 + 18 * row;
    fprintf(p->file, "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" %s/>\n<text x=\"%d\" y=\"%d\">", LEFT, y - 4, LEFT + 36, y - 4, style,
            LEFT + 44, y);
    put_text(p->file, title, 80);
    fprintf(p->file, ": %s planned</text>\n", BYTES_TEXT(plan->report.planned_bytes));
}

bool memory_plot(const char *path, const char *network, const char *title, const memory_plan *plan, const memory_plan *uncompressed)
{
    static const char with[] = "stroke=\"#0072b2\" stroke-width=\"2\"";
    static const char without[] = "stroke=\"#d55e00\" stroke-width=\"2\" stroke-dasharray=\"6 3\"";
    plot p = {.file = fopen(path, "w")};
    if (!p.file)
        return false;
    scale(&p, plan, uncompressed);
    fprintf(p.file, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
            "viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"13\">\n<title>", WIDTH, HEIGHT, WIDTH, HEIGHT);
    put_text(p.file, network, 120);
    fprintf(p.file, "</title>\n<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n<text x=\"%d\" y=\"24\" font-size=\"15\">", WIDTH,
            HEIGHT, LEFT);
    put_text(p.file, network, 120);
    fputs("</text>\n", p.file);
    axes(&p);
    if (uncompressed) {
        curve(&p, uncompressed, without);
        legend(&p, 1, uncompressed, without, "without compression");
    }
    curve(&p, plan, with);
    legend(&p, 0, plan, with, title);
    fputs("</svg>\n", p.file);
    bool good = !ferror(p.file);
    int code = errno;
    if (fclose(p.file) == 0)
        errno = code;
    else
        good = false;
    return good;
}
