/* network_state.h: what src/io needs of a network beside the public header; and all that src/io sees of src/runtime. */
#ifndef ACTC_NETWORK_STATE_H
#define ACTC_NETWORK_STATE_H

#include <actc/network.h>

/* The context whose message a failure of this network's calls sets. */
actc_context *actc_network_context(const actc_network *network);
/* options.accumulate */
int actc_network_accumulate(const actc_network *network);

/* The names under which PyTorch's files count training batches, one by one; NULL past the last. */
const char *actc_network_counter(const actc_network *network, size_t index);

#endif
