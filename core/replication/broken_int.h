/*
 * broken_int.h: defects that can be built in, one at a time (-DREPL_BROKEN=n, or -DREPL_VARIANTS
 * for the simulation), to show that it finds each. The product is built with none; every test is on
 * a constant there.
 */
#ifndef QD_REPLICATION_BROKEN_INT_H
#define QD_REPLICATION_BROKEN_INT_H

#ifndef REPL_BROKEN
#define REPL_BROKEN 0
#endif

enum {
    REPL_BROKEN_ACK_BEFORE_FSYNC = 1,   /* the primary acknowledges what its disk does not have */
    REPL_BROKEN_COPY_ACK_BEFORE_FSYNC,  /* a copy answers what its disk does not have */
    REPL_BROKEN_PROMOTE_OUT_OF_SYNC,    /* any copy may become primary */
    REPL_BROKEN_NO_TERM_CHECK,          /* a copy serves senders of lower terms */
    REPL_BROKEN_NO_READ_LEASE,          /* realtime reads ask nobody */
    REPL_BROKEN_LEASE_BEFORE_READ,      /* the lease is looked at first, then the value is read */
    REPL_BROKEN_READ_UNREPLICATED,      /* a read shows what copies do not have yet */
    REPL_BROKEN_PROMOTE_WITHIN_LEASE,   /* a copy acts as primary within the lease it gave */
    REPL_BROKEN_REFRESH_ABOVE,          /* segments above the global checkpoint are published */
    REPL_BROKEN_SNAPSHOT_FIRST,         /* recovery: snapshot, then tracking */
    REPL_BROKEN_ADMIT_EARLY,            /* in sync before it has what was acknowledged */
    REPL_BROKEN_REMOVAL_NOT_AWAITED,    /* acknowledged while the failed copy is still in sync */
    REPL_BROKEN_RESYNC_NO_TRIM,         /* a resync leaves what the new primary does not have */
    REPL_BROKEN_RECOVERY_NO_TRIM,       /* the same of a recovery by operations */
    REPL_BROKEN_REQUEST_TERM_AS_RECORD, /* records get the sender's term, not their own */
    REPL_BROKEN_NO_RESYNC,              /* a new primary begins at once */
    REPL_BROKEN_NO_GAP_FILL,            /* a new primary leaves holes in its log */
    REPL_BROKEN_HANDOVER_UNDRAINED,     /* relocation while writes are under way */
    REPL_BROKEN_START_BEHIND_REFRESH,   /* a copy starts without what refreshes have shown */
    REPL_BROKEN_HISTORY_IGNORED,        /* operations only, onto another history */
    REPL_BROKEN_REFUSED_IS_OUT,         /* a refused change is taken as "not in the set" */
    REPL_BROKEN_UNSTARTED_PRIMARY,      /* a new copy acknowledges before it has started */
    REPL_BROKEN_SEARCH_BEHIND,          /* an opened primary is searched before it is back */
    REPL_BROKEN_JOIN_OLD_ROUND,         /* a read counts answers to what was asked before it came */
    REPL_BROKEN_END,              /* behind it: of the shell around the machines, for whole nodes */
    REPL_BROKEN_OK_WHATEVER_TERM, /* a copy answers OK whatever term it obeys by now */
    REPL_BROKEN_RESYNC_NO_ROLL_BACK,   /* the first part of a resync sets nothing back */
    REPL_BROKEN_RESYNC_UNSYNCED,       /* parts of a resync are answered before their sync */
    REPL_BROKEN_PUBLISH_UNSHOWN,       /* a copy says that it shows what it has not installed */
    REPL_BROKEN_RECOVERY_NOT_SET_BACK, /* a recovering copy keeps what it had */
    REPL_BROKEN_RECOVERY_UNSYNCED,     /* it says that it has what it did not sync */
    REPL_BROKEN_UNKNOWN_IS_OK,         /* a batch that ended unknown is acknowledged */
    REPL_BROKEN_DEPOSED_IS_OK,        /* so is one that was applied by a primary that is none now */
    REPL_BROKEN_NOT_FOUND_AT_ONCE,    /* "not found" waits for nothing */
    REPL_BROKEN_PLAIN_BESIDE_TRACKED, /* writers that gather nothing go on when a copy is tracked */
    REPL_BROKEN_REFRESH_HERE_ONLY,    /* a refresh does not wait for copies */
    REPL_BROKEN_CHANGE_ASSUMED,       /* a change of the record without an answer counts as done */
    REPL_BROKEN_CHECKPOINT_OF_OWN, /* copies are told the primary's checkpoint as the global one */
    REPL_BROKEN_FINAL_UNASKED,     /* the source admits whoever asks, whatever it has */
    REPL_BROKEN_READ_BY_LEASE,     /* a lease by the primary's own clock is enough for a read */
    REPL_BROKEN_SENT_IS_SHOWN,     /* a publication that was sent counts as shown */
    REPL_BROKEN_KNOWN_IGNORED,     /* a checkpoint above the log of the primary proves nothing */
    REPL_BROKEN_READ_ANY_TERM,     /* a round for reads is answered whoever asks */
    REPL_BROKEN_GAPS_COUNTED,      /* a copy tells its highest number, whatever lacks below */
    REPL_BROKEN_COMMIT_UNSYNCED,   /* a write ends without a sync of this node's log */
    REPL_BROKEN_SENT_NOTHING, /* the source takes a copy for filled that it sent no operations */
    REPL_BROKEN_SENT_IS_CONFIRMED, /* operations that were sent count as confirmed */
    REPL_BROKEN_AWAY_IGNORED,      /* a new primary counts the copies that are there, not the set */
    REPL_BROKEN_LEAD_ALL_GLOBAL,   /* it calls all acknowledged that it has */
    REPL_BROKEN_LEFT_IGNORED, /* a refresh waits for nobody who may search a copy that has left */
};
#ifdef REPL_VARIANTS     /* the simulation: all in one program, chosen when it starts */
extern int repl_variant; /* a second one 16 bits further up */
#define repl_broken(x)                                                                             \
    ((repl_variant & 0xffff) == REPL_BROKEN_##x || repl_variant >> 16 == REPL_BROKEN_##x)
#else
#define repl_broken(x) (REPL_BROKEN == REPL_BROKEN_##x)
#endif

#endif
