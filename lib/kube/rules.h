/*
 * rules.h: may this identity do what it is going to? Asks the server once (SelfSubjectRulesReview)
 * and says what is missing, with the YAML of the Role to add.
 */
#ifndef KUBE_RULES_H
#define KUBE_RULES_H

#include "client.h"

/* One need. Lists are comma-separated without blanks. */
typedef struct kube_wanted {
    const char *group;    /* "" is the core one */
    const char *resource; /* plural; a subresource as "quidditchindices/status" */
    const char *verbs;    /* "get,list,watch" */
    const char *names;    /* of objects; NULL: any */
} kube_wanted;

typedef struct kube_rules {
    /* Set by the owner, the rest zeroed; borrowed until done. */
    const char *ns;
    const kube_wanted *wanted;
    uint32_t n;
    const char *role_name; /* begins its name in the YAML; NULL: "quidditch" */
    int64_t timeout_ns;    /* 0: 30 s */
    void (*done)(struct kube_rules *);
    void *user;

    /* Set when done is called. */
    int32_t rc;       /* 0: the server told; else as kube_list.rc, and nothing is known */
    int32_t partly;   /* 1: the server says that its list is incomplete, so that what is missing may
                         be granted all the same */
    uint32_t missing; /* how many (resource, verb) pairs */
    char *text; /* missing > 0: a sentence for each need and the YAML; make: kube_rules_clear */

    kube_request request; /* its result tells what went wrong */
} kube_rules;

/* 0: done comes exactly once. Else as kube_send. */
int32_t kube_rules_start(kube_client *c, kube_rules *r);
/* Ends it if it runs, and frees text. */
void kube_rules_clear(kube_rules *r);

/* The comparison by itself: fills partly, missing and text from an answer's object. 0 or
 * QD_E_NOMEM, QD_E_PARSE (no review). */
int32_t kube_rules_compare(const kube_env *env, kube_rules *r, const json_t *review);

#endif
