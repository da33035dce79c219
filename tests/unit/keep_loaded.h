/* keep_loaded.h: under the address sanitizer, keeps the software Vulkan driver mapped until the process ends.
 *
 * The driver leaks (tests/lsan.supp), and the Vulkan loader unmaps it with the last instance; then the leak checker cannot
 * tell whose a leak is, and no suppression matches. Include it in one file of a test that opens Vulkan devices.
 */
#ifndef ACTC_KEEP_LOADED_H
#define ACTC_KEEP_LOADED_H

#if defined(__SANITIZE_ADDRESS__)
#include <dlfcn.h>
#include <stdlib.h>

__attribute__((constructor)) static void keep_loaded(void)
{
    static const char *const libraries[] = {"libvulkan.so.1", "libvulkan_lvp.so", "libVkLayer_khronos_validation.so"};
    for (unsigned i = 0; i < sizeof libraries / sizeof *libraries; i++)
        dlopen(libraries[i], RTLD_NOW | RTLD_NODELETE); /* the reference is meant to stay */
    if (getenv("ACTC_TEST_KEEP_LOADED")) /* a driver that is not where libraries are looked for */
        dlopen(getenv("ACTC_TEST_KEEP_LOADED"), RTLD_NOW | RTLD_NODELETE);
}
#endif

#endif
