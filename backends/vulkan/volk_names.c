/* volk_names.c: preprocessed by the build to list volk's functions; never compiled. */
#define VK_NO_PROTOTYPES
#include <volk.h>
