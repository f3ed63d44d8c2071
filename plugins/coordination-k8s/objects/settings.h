/* settings.h: specs as requests to the cluster: for judge.c. Pure, see objects.h. */
#ifndef COORDINATION_K8S_OBJECTS_SETTINGS_H
#define COORDINATION_K8S_OBJECTS_SETTINGS_H

#include <jansson.h>

/* Steps (ck_judgement) that make the index of an object. make. */
json_t *ck_wish_create(const json_t *object);
/* Steps that make an index (as ck_truth_index) what the object's spec says; an empty array: it is.
 * make. */
json_t *ck_wish_change(const json_t *object, const json_t *index);
/* Steps that set what a QuidditchCluster's spec.settings say; *ignored: settings that are for new
 * indices, and are not set. make. */
json_t *ck_wish_settings(const json_t *object, int *ignored);

#endif
