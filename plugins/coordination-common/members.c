/* members.c: see members.h. */
#include "members.h"

enum { VERSION = 1 };

static int sound(const cr_member *m)
{
    return m->id != 0 && m->role >= QD_COORD_VOTER && m->role <= QD_COORD_SPARE &&
           m->name.n <= CR_MEMBER_NAME_MAX && m->address.n <= CR_MEMBER_ADDRESS_MAX;
}

/* Puts a copy in its place by id; 0: the id is there already. */
static int insert(cr_members *list, const cr_member *m, char **text)
{
    uint32_t i = list->n;
    while (i > 0 && list->at[i - 1].id > m->id) i--;
    if (i > 0 && list->at[i - 1].id == m->id) return 0;
    memmove(&list->at[i + 1], &list->at[i], (list->n - i) * sizeof(cr_member));
    list->at[i] = *m;
    list->at[i].name.p = *text;
    if (m->name.n) memcpy(*text, m->name.p, m->name.n);
    *text += m->name.n;
    list->at[i].address.p = *text;
    if (m->address.n) memcpy(*text, m->address.p, m->address.n);
    *text += m->address.n;
    list->n++;
    list->voters += m->role == QD_COORD_VOTER;
    return 1;
}

cr_members *cr_members_make(const cr_heap *h, const cr_member *m, uint32_t n)
{
    if (n > CR_MEMBERS_MAX) return NULL;
    size_t texts = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!sound(&m[i])) return NULL;
        texts += m[i].name.n + m[i].address.n;
    }
    cr_members *list = cr_must(h, sizeof *list + n * sizeof(cr_member) + texts);
    *list = (cr_members){.heap = h, .refs = 1};
    char *text = (char *)&list->at[n];
    for (uint32_t i = 0; i < n; i++) {
        if (insert(list, &m[i], &text)) continue;
        cr_free(h, list);
        return NULL;
    }
    return list;
}

cr_members *cr_members_ref(cr_members *m)
{
    if (m) m->refs++;
    return m;
}

void cr_members_drop(cr_members *m)
{
    if (m && --m->refs == 0) cr_free(m->heap, m);
}

cr_members *cr_members_read(const cr_heap *h, const uint8_t *p, size_t n)
{
    cr_reader r = {p, n, 0};
    cr_member at[CR_MEMBERS_MAX];
    if (cr_get32(&r) != VERSION) return NULL;
    uint32_t count = cr_get32(&r);
    if (r.bad || count > CR_MEMBERS_MAX) return NULL;
    for (uint32_t i = 0; i < count; i++) {
        at[i].id = cr_get64(&r);
        at[i].role = cr_get8(&r);
        at[i].name = cr_get_str(&r);
        at[i].address = cr_get_str(&r);
    }
    return r.bad || r.n ? NULL : cr_members_make(h, at, count);
}

void cr_members_write(const cr_members *m, cr_bytes *out)
{
    cr_put32(out, VERSION);
    cr_put32(out, m->n);
    for (uint32_t i = 0; i < m->n; i++) {
        cr_put64(out, m->at[i].id);
        cr_put8(out, (uint8_t)m->at[i].role);
        cr_put_str(out, m->at[i].name);
        cr_put_str(out, m->at[i].address);
    }
}

const cr_member *cr_members_find(const cr_members *m, uint64_t id)
{
    for (uint32_t i = 0; m && i < m->n; i++)
        if (m->at[i].id == id) return &m->at[i];
    return NULL;
}

int cr_members_votes(const cr_members *m, uint64_t id)
{
    const cr_member *one = cr_members_find(m, id);
    return one && one->role == QD_COORD_VOTER;
}

static int same(qd_str a, qd_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

cr_members *cr_members_changed(const cr_members *list, const cr_member *m, int remove, int32_t *rc)
{
    const cr_member *old = cr_members_find(list, m->id);
    int voted = old && old->role == QD_COORD_VOTER;
    int votes = !remove && m->role == QD_COORD_VOTER;
    *rc = QD_E_ARG;
    if (remove && !old) *rc = QD_E_NOTFOUND;
    if (!remove && old && old->role == m->role && same(old->name, m->name) &&
        same(old->address, m->address))
        *rc = QD_E_EXISTS;
    if (*rc != QD_E_ARG || (!remove && !sound(m))) return NULL;
    if ((votes && !old) || (voted && !votes && list->voters == 1)) return NULL;
    cr_member at[CR_MEMBERS_MAX + 1];
    uint32_t n = 0;
    for (uint32_t i = 0; i < list->n; i++)
        if (list->at[i].id != m->id) at[n++] = list->at[i];
    if (!remove) at[n++] = *m;
    cr_members *changed = cr_members_make(list->heap, at, n);
    if (changed) *rc = 0;
    return changed;
}
