/*
 * kube_replay.h: plays recorded requests (tests/k8s/requests/NAME.txt) to an API server, the real
 * one or the model, and compares the answers with the recorded ones. What differs from run to run
 * is made the same: resourceVersions and uids are named in the order in which they appear, times
 * and tokens are blanked, messages and managedFields left out. tests/k8s/requests/README.md has the
 * form.
 */
#ifndef QD_TESTS_KUBE_REPLAY_H
#define QD_TESTS_KUBE_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef struct kube_answer {
    int status;
    char *body; /* of malloc; of a watch: what came */
    size_t n;
} kube_answer;

/* Who asks. type: of the body; of a GET: of the answer. events > 0: a watch, until so many lines
 * have come, or it ends. */
typedef struct kube_player {
    kube_answer (*ask)(void *arg, const char *user, const char *method, const char *target,
                       const char *type, const char *body, size_t n, int events);
    /* The history is forgotten, and the server restarted. */
    void (*compact)(void *arg);
    void *arg;
} kube_player;

typedef struct kube_replay_result {
    unsigned requests, wrong;
} kube_replay_result;

/* Plays a file; differences go to `out`. record: its answers are written into the file instead. */
kube_replay_result kube_replay(const char *file, const kube_player *p, bool record, FILE *out);

/* The model as a player; make with arg NULL. */
kube_player kube_replay_model(void);
void kube_replay_model_free(kube_player *p);

#endif
