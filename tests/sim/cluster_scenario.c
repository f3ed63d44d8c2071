/* cluster_scenario.c: named schedules of the composed simulation. */
#include "cluster_int.h"

const cluster_scenario cluster_scenarios[] = {{NULL, NULL, NULL}};
