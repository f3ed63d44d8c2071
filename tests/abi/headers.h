/* headers.h: all public headers, for the tests of the ABI. */
#include <quidditch/abi.h>
#include <quidditch/aggregation.h>
#include <quidditch/analyzer.h>
#include <quidditch/conformance.h>
#include <quidditch/coordination.h>
#include <quidditch/documents.h>
#include <quidditch/field.h>
#include <quidditch/frontend.h>
#include <quidditch/jobs.h>
#include <quidditch/json.h>
#include <quidditch/operator.h>
#include <quidditch/peers.h>
#include <quidditch/plugin.h>
#include <quidditch/processor.h>
#include <quidditch/route.h>
#include <quidditch/storage.h>
#include <quidditch/types.h>
