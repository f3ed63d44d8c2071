/*
 * home.h: what coordination-raft keeps beside the shell (store.h): its folder with log and rows,
 * the search for other masters, changes of members. Part of store.h, included there alone.
 */
#ifndef COORDINATION_RAFT_HOME_H
#define COORDINATION_RAFT_HOME_H

#include "discover.h"
#include "policy.h"
#include "rows.h"

#define CR_HOME_NAME "coordination-raft"
#define CR_HOME_FLAGS (QD_COORD_LINEARIZABLE | QD_COORD_AUTHORITY | QD_COORD_DYNAMIC_MEMBERS)
#define CR_YOUNG_NS 1000000000 /* forming a node's reserve would delay its first start */

/* What the file node says. */
enum {
    CR_NODE_NEW,     /* there is none */
    CR_NODE_FORMING, /* with the members in it */
    CR_NODE_JOINING,
    CR_NODE_FORMED
};

/* A change of members that somebody asked for, on the leader. */
typedef struct cr_wish {
    struct cr_wish *next;
    cr_proposal proposal; /* of ADD, ROLE, REMOVE */
    struct qd_coord *store;
    cr_name name;
    uint32_t action;
    int under_way; /* the engine has it */
    int64_t until_ns, wrote_ns;
    char member[CR_WIRE_NAME_MAX + 1];
} cr_wish;

typedef struct cr_home {
    int node_state; /* CR_NODE_... */
    int young;      /* formed by this process: its reserve waits until the node has started */
    int lock_fd, reserve_there;
    int64_t space_checked_ns;
    int64_t full_ns, lent_ns; /* when changes were last refused for want of room; when leadership
                                 was given to somebody with room */
    uint64_t reserve_bytes;
    uint32_t snapshot_entries;
    cr_rows *rows;
    cr_search search;
    cr_forming forming; /* members of a store being formed; its texts in forming_text */
    char *forming_text;
    cr_wish *wishes;
    cr_proposal change; /* of the store's own, by policy */
    int changing;
    int64_t policy_ns, even_ns, joined_ns, said_ns;
    int64_t stranger_ns; /* since when it belongs to no store */
} cr_home;

/* --- home.c --- */
/* The node belongs to a store now: opens its log. */
void cr_store_engine(struct qd_coord *c, uint32_t how);
/* --- found.c --- */
void cr_found_free(struct qd_coord *c);
/* --- membership.c --- */
void cr_members_free(struct qd_coord *c);

/* --- folder.c --- */
/* Makes and locks the folder, reads the node's file. */
int32_t cr_folder_open(struct qd_coord *c, qd_err *err);
/* Writes the node's file in this state. 0 or a negative code. */
int32_t cr_folder_write(struct qd_coord *c, int state);
void cr_folder_close(struct qd_coord *c);
/* Free bytes of the file system; UINT64_MAX when unknown. */
uint64_t cr_folder_free(struct qd_coord *c);
/* Gives the reserve's blocks up, or lays them in again. */
void cr_reserve_spend(struct qd_coord *c);
void cr_reserve_fill(struct qd_coord *c);

#endif
