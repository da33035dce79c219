/* fuzz_config.c: config.json of a run folder, as `actc-train --resume DIR` reads it, up to the data set (which is not
 * there): every option of the tool's, and the optimiser's spec. */
int actc_train_main(int argc, char **argv);
#define main actc_train_main
#include "../../tools/actc-train.c"
#undef main

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_write("config.json", data, size);
    char folder[192];
    snprintf(folder, sizeof folder, "%s", fuzz_folder());
    char *arguments[] = {"actc-train", "--resume", folder, "--data-dir", "/nonexistent", NULL};
    int code = actc_train_main(5, arguments);
    FUZZ_CHECK(code == TOOL_FAILURE || code == TOOL_USAGE);
    /* the same with options of its own, which the file may contradict */
    char *more[] = {"actc-train", "mnistnet", "--resume", folder, "--data-dir", "/nonexistent",
                    "--batch",    "16",       "--lr",     "0.5",  NULL};
    code = actc_train_main(10, more);
    FUZZ_CHECK(code == TOOL_FAILURE || code == TOOL_USAGE);
    return 0;
}
