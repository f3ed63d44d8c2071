/* lenient.h: JSON of the API server that may hold objects which cannot be read; private to
 * lib/kube. */
#ifndef KUBE_LENIENT_H
#define KUBE_LENIENT_H

#include "kube.h"
#include <jansson.h>

/*
 * An object, a list or an event of a watch. Objects in it that cannot be read, as their names have
 * a NUL or they are too deep, come without the members that are to blame and have KUBE_UNREADABLE:
 * true. make: json_decref. NULL: it is no JSON, error tells.
 */
json_t *kube_json(const char *p, size_t n, json_error_t *error);

#endif
