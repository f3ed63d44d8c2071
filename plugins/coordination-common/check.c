/* check.c: is a command that came from another member one that every machine takes? See entry.h. */
#include "entry.h"
#include "machine.h"

static void check_key(cr_reader *r, qd_str key)
{
    if (key.n == 0 || key.n > CR_KEY_MAX) r->bad = 1;
}

static void check_txn(cr_reader *r)
{
    (void)cr_get(r, 16 + 16);
    (void)cr_get_str(r);
    uint32_t n = cr_get32(r);
    if (n > CR_TXN_OPS_MAX) r->bad = 1;
    for (uint32_t i = 0; i < n && !r->bad; i++) {
        uint8_t type = cr_get8(r);
        check_key(r, cr_get_str(r));
        (void)cr_get64(r);
        if (type == QD_COORD_CMP_HASH) (void)cr_get(r, 32);
    }
    n = cr_get32(r);
    if (n > CR_TXN_OPS_MAX) r->bad = 1;
    for (uint32_t i = 0; i < n && !r->bad; i++) {
        uint8_t type = cr_get8(r);
        qd_str key = cr_get_str(r);
        check_key(r, key);
        (void)cr_get64(r);
        qd_str value = cr_get_str(r);
        if (type < QD_COORD_PUT || type > QD_COORD_DELETE_PREFIX || value.n > CR_VALUE_MAX ||
            cr_starts(key, QD_STR(CR_ELECTION_PREFIX)) || cr_starts(key, QD_STR(CR_MEMBERS_PREFIX)))
            r->bad = 1;
    }
}

static void check_import(cr_reader *r)
{
    (void)cr_get64(r);
    uint64_t revision = cr_get64(r);
    uint32_t n = cr_get32(r);
    if (n > CR_TXN_OPS_MAX || revision >= CR_NUMBER_MAX) r->bad = 1;
    for (uint32_t i = 0; i < n && !r->bad; i++) {
        uint8_t type = cr_get8(r);
        check_key(r, cr_get_str(r));
        uint64_t created = cr_get64(r), mod = cr_get64(r), version = cr_get64(r);
        uint64_t session = cr_get64(r);
        qd_str value = cr_get_str(r);
        if ((type != QD_COORD_PUT && type != QD_COORD_DELETE) || value.n > CR_VALUE_MAX ||
            mod >= CR_NUMBER_MAX || version >= CR_NUMBER_MAX || session >= CR_NUMBER_MAX ||
            (type == QD_COORD_PUT && (version == 0 || created > mod)))
            r->bad = 1;
    }
}

static void check_name(cr_reader *r)
{
    qd_str name = cr_get_str(r);
    if (name.n == 0 || name.n > CR_KEY_MAX - (sizeof CR_ELECTION_PREFIX - 1)) r->bad = 1;
}

int cr_command_sound(uint8_t type, cr_reader *r)
{
    switch (type) {
    case CR_TXN:
        check_txn(r);
        break;
    case CR_OPEN:
        (void)cr_get(r, 24);
        break;
    case CR_KEEP:
    case CR_CLOSE:
        (void)cr_get64(r);
        break;
    case CR_ELECT:
        (void)cr_get(r, 24);
        check_name(r);
        if (cr_get_str(r).n > CR_VALUE_MAX) r->bad = 1;
        break;
    case CR_WITHDRAW:
        (void)cr_get(r, 16);
        check_name(r);
        break;
    case CR_RESIGN:
        (void)cr_get(r, 24);
        check_name(r);
        break;
    case CR_AUTHORITY:
        (void)cr_get(r, 16 + 4 + 24);
        break;
    case CR_IMPORT:
        check_import(r);
        break;
    default:
        r->bad = 1;
    }
    return !r->bad && r->n == 0;
}
