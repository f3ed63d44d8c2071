/* settings.h: specs as requests to the cluster: for judge.c. Pure, see objects.h. */
#ifndef COORDINATION_K8S_OBJECTS_SETTINGS_H
#define COORDINATION_K8S_OBJECTS_SETTINGS_H

#include <jansson.h>

/* Steps (ck_judgement) that make the index of an object. make. */
json_t *ck_wish_create(const json_t *object);
/* Steps that make an index (as ck_truth_index) what the object's spec says; an empty array: it is.
 * make. */
json_t *ck_wish_change(const json_t *object, const json_t *index);
/* What of an index (as ck_truth_index) is not as the object's spec says, settings and aliases, as
 * text: each with both values. An empty text: it is. size: of out; what does not fit is cut. */
void ck_wish_drift(const json_t *object, const json_t *index, char *out, size_t size);
/* Steps that set what a QuidditchCluster's spec.settings say, settings of indices as defaults of
 * new ones. One step, whose "apart" are the steps to take in its place if it is refused. refused:
 * an array to which texts about what cannot be set are added. make. */
json_t *ck_wish_settings(const json_t *object, const char *cluster, json_t *refused);

#endif
