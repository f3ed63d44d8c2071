/*
 * wire.h: what masters say to each other over the node's transport: one envelope around everything,
 * bounded fields behind it. Pure; any bytes may come in (tests/fuzz/coord_wire_fuzz.c).
 *
 *   envelope  u32 magic "QDM1", u8 version, u8 type, 16 store id, u64 recoveries, u64 from, u64 to,
 *             text address, text name of the sender; then what the type says
 *
 * Store id and recoveries are zeros as long as the sender knows of no store. Ids are those of
 * consensus; `to` is 0 when the sender does not know it.
 */
#ifndef COORDINATION_COMMON_WIRE_H
#define COORDINATION_COMMON_WIRE_H

#include "bytes.h"
#include "machine.h"

enum { CR_WIRE_MAGIC = 0x314d4451, CR_WIRE_VERSION = 1 };
enum {
    CR_WIRE_MEMBERS_MAX = 64,
    CR_WIRE_NAME_MAX = 128,
    CR_WIRE_ADDRESS_MAX = 272,
    CR_WIRE_TEXT_MAX = 1024,
    CR_WIRE_PART = 2 << 20,                            /* bytes of a request in one message */
    CR_WIRE_COMMAND_MAX = CR_TXN_BYTES_MAX + (8 << 20) /* a request: values, keys, heads */
};

/* Numbers are part of the protocol. */
enum {
    CR_SAY_CONSENSUS = 1, /* bytes of the engine */
    CR_SAY_PROBE = 2,     /* who are you? (info follows) */
    CR_SAY_INFO = 3,      /* the answer: info */
    CR_SAY_FORM = 4,      /* form with these members (forming) */
    CR_SAY_JOIN = 5,      /* let me in */
    CR_SAY_JOINED = 6,    /* the answer: rc, text */
    CR_SAY_REQUEST = 7,   /* a part of a request: for the leader */
    CR_SAY_MORE = 8,      /* its next part is wanted; all is there: it is under way */
    CR_SAY_ANSWER = 9,    /* what it came to */
    CR_SAY_READ = 10,     /* asks the leader where the log ends */
    CR_SAY_READ_ANSWER = 11,
    CR_SAY_END = 12
};

typedef struct cr_envelope {
    uint8_t type;
    uint8_t store_id[16];
    uint64_t recoveries, from, to;
    qd_str address, name;
} cr_envelope;

/* A member as it is told; texts borrow. */
typedef struct cr_who {
    uint64_t id;
    uint32_t role; /* QD_COORD_VOTER ... */
    uint32_t alive, leader, excluded;
    qd_str name, address;
} cr_who;

/* PROBE, INFO: what a master is. */
typedef struct cr_info {
    qd_str cluster;       /* its name */
    qd_str asked;         /* PROBE: where this goes to; INFO: what the PROBE said */
    uint64_t incarnation; /* of this life of the process */
    uint32_t pristine;    /* belongs to no store, promised nothing */
    uint32_t leads;
    uint64_t epoch;
    uint64_t leader; /* 0: unknown */
    qd_str leader_address;
    uint8_t promised[16]; /* a store it agreed to form; zeros: none */
    uint32_t nfirst;      /* names it wants to form with */
    qd_str first[CR_WIRE_MEMBERS_MAX];
    uint32_t nmembers; /* of its store */
    cr_who members[CR_WIRE_MEMBERS_MAX];
} cr_info;

/* FORM: the store's id is the envelope's. */
typedef struct cr_forming {
    uint32_t nmembers;
    cr_who members[CR_WIRE_MEMBERS_MAX];
} cr_forming;

/* REQUEST: commands of entry.h, or CR_ASK_MEMBERS. */
typedef struct cr_request {
    uint64_t owner, number, seen; /* seen: answers known when it was first sent */
    uint32_t total, offset;
    qd_str bytes; /* first part: u8 type, payload */
} cr_request;
enum { CR_ASK_MEMBERS = 100 }; /* u32 action, u64 id, u32 role, text name, text address */

/* ANSWER, and MORE (rc is then the offset wanted). */
typedef struct cr_answering {
    uint64_t owner, number;
    int32_t rc;
    uint32_t failed, waiting;
    uint64_t revision, session;
    int64_t ttl_ns;
    qd_coord_token token;
    qd_str text;       /* why, when rc is not 0 */
    uint32_t nmembers; /* of CR_ASK_MEMBERS */
    cr_who members[CR_WIRE_MEMBERS_MAX];
} cr_answering;

/* Appends the envelope; a body follows. */
void cr_wire_begin(cr_bytes *out, const cr_envelope *e);
/* Reads it; the rest stays in r. 0 when malformed: QD_E_CORRUPT, QD_E_FORMAT_NEW (another version:
 * the sender is newer). Texts borrow. */
int32_t cr_wire_read(cr_reader *r, cr_envelope *e);

/* Bodies. Reading: 0, or QD_E_CORRUPT. Texts borrow from the bytes. */
void cr_wire_info(cr_bytes *out, const cr_info *i);
int32_t cr_wire_info_read(cr_reader *r, cr_info *out);
void cr_wire_forming(cr_bytes *out, const cr_forming *f);
int32_t cr_wire_forming_read(cr_reader *r, cr_forming *out);
void cr_wire_request(cr_bytes *out, const cr_request *q);
int32_t cr_wire_request_read(cr_reader *r, cr_request *out);
void cr_wire_answer(cr_bytes *out, const cr_answering *a);
int32_t cr_wire_answer_read(cr_reader *r, cr_answering *out);
/* JOINED: rc, text. READ: number. READ_ANSWER: number, rc, index. */
void cr_wire_numbers(cr_bytes *out, uint64_t a, int32_t rc, uint64_t b, qd_str text);
int32_t cr_wire_numbers_read(cr_reader *r, uint64_t *a, int32_t *rc, uint64_t *b, qd_str *text);

#endif
