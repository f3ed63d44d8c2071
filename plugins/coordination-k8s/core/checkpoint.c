/* checkpoint.c: the state as pages, when the tail is long: frozen, encoded by the shell, its
 * objects written, then the next write of the root names them. Entries go on meanwhile. */
#include "core_int.h"
#include <stdio.h>

void ck_checkpoint_end(ck_core *c, int committed)
{
    if (c->cp == CK_CP_NONE) return;
    if (c->cp == CK_CP_FREEZE && !committed) {
        c->cp_ask = NULL; /* its answer is dropped */
        c->cp = CK_CP_NONE;
        return;
    }
    ck_upload_drop(c, NULL);
    if (committed) c->counts.checkpoints++;
    c->cp = CK_CP_END;
    c->cp_committed = committed;
    c->again = 1;
}

/* Its bytes are lent: they go back once none of its objects is out. */
static void give_back(ck_core *c)
{
    if (ck_uploading_checkpoint(c)) return;
    ck_checkpoint *p = c->checkpoint;
    c->checkpoint = NULL;
    c->cp = CK_CP_NONE;
    c->again = 1;
    c->config.thaw(c->config.arg, p, c->cp_committed);
}

static int wanted(const ck_core *c)
{
    if (!ck_leads(c) || c->resigning || c->applied == c->root->checkpoint) return 0;
    return ck_root_full(c->root) || c->no_room;
}

void ck_checkpoint_turn(ck_core *c)
{
    if (c->cp == CK_CP_END) give_back(c);
    if (c->cp != CK_CP_NONE || c->failed || !wanted(c) || !ck_due(c, c->cp_at)) return;
    c->no_room = 0;
    c->cp = CK_CP_FREEZE;
    c->cp_ask = ck_ask_new(c, CK_FREEZE);
    c->cp_ask->root = ck_root_clone(c->root);
    c->cp_checkpoint = c->root->checkpoint;
}

void ck_freeze_answered(ck_core *c, ck_ask *ask, const ck_answer *a)
{
    if (c->cp_ask != ask || c->cp != CK_CP_FREEZE) {
        if (a->checkpoint) c->config.thaw(c->config.arg, a->checkpoint, 0);
        return;
    }
    c->cp_ask = NULL;
    if (a->outcome != CK_OK || !a->checkpoint) {
        c->cp = CK_CP_NONE;
        c->cp_at = c->now + CK_RETRY_NS;
        return;
    }
    ck_checkpoint *p = a->checkpoint;
    c->checkpoint = p;
    c->cp = CK_CP_UPLOAD;
    c->cp_left = 0;
    for (uint32_t i = 0; i < p->nblobs; i++)
        c->cp_left += ck_upload_begin(c, &p->blobs[i], NULL, NULL);
    if (c->cp_left == 0 || QD_MUTANT(k8s, BLOBS_LATE)) c->cp = CK_CP_READY;
}

void ck_checkpoint_uploaded(ck_core *c, int32_t rc)
{
    if (c->cp != CK_CP_UPLOAD) return;
    if (rc) {
        char text[sizeof c->refused + 100];
        snprintf(text, sizeof text,
                 "a checkpoint of the cluster's state was refused by the API server: %s",
                 c->refused[0] ? c->refused : "no reason given");
        ck_warn(c, text);
        c->cp_at = c->now + CK_RETRY_NS;
        ck_checkpoint_end(c, 0);
    } else if (--c->cp_left == 0)
        c->cp = CK_CP_READY;
}
