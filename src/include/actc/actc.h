/* actc/actc.h: all of libactc's public interface. */
#ifndef ACTC_ACTC_H
#define ACTC_ACTC_H

#include <actc/base.h>
#include <actc/codec.h>
#include <actc/context.h>
#include <actc/data.h>
#include <actc/graph.h>
#include <actc/network.h>
#include <actc/operators.h>

#endif
