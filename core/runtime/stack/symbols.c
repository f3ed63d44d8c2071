/* symbols.c: see symbols.h. ELF64 by the System V ABI (gABI 4.1). */
#include "runtime/stack/symbols.h"
#include "base/mem.h"
#include "runtime/stack/image.h"
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTIONS_MAX 1024u
#define TABLE_BYTES_MAX (64u << 20)
#define NOTES_BYTES_MAX 4096u
#define IMAGES_READ_MAX 32u

typedef struct function {
    uint64_t at, bytes;
    uint32_t name; /* in names */
} function;

struct qdi_functions {
    function *all; /* by address */
    size_t n;
    char *names; /* ends with NUL */
};

struct qd_symbols {
    uint32_t n;
    struct {
        const qdi_image *image;
        qdi_functions *functions;
    } read[IMAGES_READ_MAX];
};

/* --- a file --- */

/* The bytes, or NULL: they are not all there, too many, no memory. */
static void *read_at(int fd, uint64_t offset, uint64_t n, uint64_t max)
{
    if (n == 0 || n > max || offset > INT64_MAX - n) return NULL;
    char *p = qd_calloc(NULL, n + 1);
    uint64_t have = 0;
    while (p && have < n) {
        ssize_t k = pread(fd, p + have, n - have, (off_t)(offset + have));
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) {
            qd_free(p);
            return NULL;
        }
        have += (uint64_t)k;
    }
    return p;
}

static bool file_has_id(int fd, const Elf64_Shdr *sections, uint32_t n, const char *id)
{
    bool found = false;
    char its[41];
    for (uint32_t i = 0; i < n && !found; i++) {
        if (sections[i].sh_type != SHT_NOTE) continue;
        char *p = read_at(fd, sections[i].sh_offset, sections[i].sh_size, NOTES_BYTES_MAX);
        found = p && qdi_build_id(p, sections[i].sh_size, its) && strcmp(its, id) == 0;
        qd_free(p);
    }
    return found;
}

static int by_address(const void *a, const void *b)
{
    const function *x = a, *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

/* Keeps the functions of the table. */
static void collect(qdi_functions *f, const Elf64_Sym *symbols, size_t n, uint64_t names)
{
    for (size_t i = 0; i < n; i++) {
        const Elf64_Sym *s = &symbols[i];
        if (ELF64_ST_TYPE(s->st_info) != STT_FUNC || s->st_shndx == SHN_UNDEF || !s->st_size ||
            s->st_name >= names || !f->names[s->st_name])
            continue;
        f->all[f->n++] = (function){s->st_value, s->st_size, s->st_name};
    }
    qsort(f->all, f->n, sizeof *f->all, by_address);
}

static qdi_functions *read_table(int fd, const Elf64_Shdr *table, const Elf64_Shdr *names)
{
    qdi_functions *f = qd_calloc(NULL, sizeof *f);
    Elf64_Sym *symbols = read_at(fd, table->sh_offset, table->sh_size, TABLE_BYTES_MAX);
    size_t n = table->sh_size / sizeof *symbols;
    if (f) f->names = read_at(fd, names->sh_offset, names->sh_size, TABLE_BYTES_MAX);
    if (f && symbols && n) f->all = qd_calloc(NULL, n * sizeof *f->all);
    bool all = f && f->names && f->all;
    if (all) collect(f, symbols, n, names->sh_size);
    qd_free(symbols);
    if (all) return f;
    qdi_functions_free(f);
    return NULL;
}

static qdi_functions *read_file(int fd, const char *id)
{
    qdi_functions *f = NULL;
    Elf64_Shdr *sections = NULL;
    Elf64_Ehdr *h = read_at(fd, 0, sizeof *h, sizeof *h);
    if (h && memcmp(h->e_ident, ELFMAG, SELFMAG) == 0 && h->e_ident[EI_CLASS] == ELFCLASS64 &&
        h->e_shentsize == sizeof *sections && h->e_shnum <= SECTIONS_MAX)
        sections = read_at(fd, h->e_shoff, (uint64_t)h->e_shnum * sizeof *sections,
                           (uint64_t)SECTIONS_MAX * sizeof *sections);
    if (sections && file_has_id(fd, sections, h->e_shnum, id)) {
        for (uint32_t i = 0; i < h->e_shnum && !f; i++)
            if (sections[i].sh_type == SHT_SYMTAB && sections[i].sh_link < h->e_shnum)
                f = read_table(fd, &sections[i], &sections[sections[i].sh_link]);
    }
    qd_free(sections);
    qd_free(h);
    return f;
}

qdi_functions *qdi_functions_read(const char *file, const char *id)
{
    int fd;
    do fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    while (fd < 0 && errno == EINTR);
    if (fd < 0) return NULL;
    qdi_functions *f = read_file(fd, id);
    close(fd);
    return f;
}

const char *qdi_functions_find(const qdi_functions *f, uint64_t address, uint64_t *first)
{
    size_t low = 0, high = f->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (f->all[mid].at <= address)
            low = mid + 1;
        else
            high = mid;
    }
    if (!low || address - f->all[low - 1].at >= f->all[low - 1].bytes) return NULL;
    *first = f->all[low - 1].at;
    return f->names + f->all[low - 1].name;
}

void qdi_functions_free(qdi_functions *f)
{
    if (!f) return;
    qd_free(f->all);
    qd_free(f->names);
    qd_free(f);
}

/* --- addresses of the process --- */

qd_symbols *qd_symbols_open(void)
{
    return qd_calloc(NULL, sizeof(qd_symbols));
}

static const qdi_functions *functions_of(qd_symbols *s, const qdi_image *m)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (s->read[i].image == m) return s->read[i].functions;
    if (s->n == IMAGES_READ_MAX || !*m->file || !*m->id) return NULL;
    s->read[s->n].image = m;
    s->read[s->n].functions = qdi_functions_read(m->file, m->id);
    return s->read[s->n++].functions;
}

uint64_t qd_symbols_place(qd_symbols *s, uintptr_t address, bool caller, char out[QD_PLACE_MAX])
{
    uintptr_t at = address - (caller ? 1 : 0); /* a call may be the last thing in its function */
    const qdi_image *m = qdi_image_of(at);
    const qdi_functions *f = m ? functions_of(s, m) : NULL;
    uint64_t first = 0;
    Dl_info info;
    const char *name = f ? qdi_functions_find(f, at - m->base, &first) : NULL;
    if (name) {
        first += m->base;
    } else if (m && dladdr((void *)at, &info) && info.dli_sname) {
        name = info.dli_sname;
        first = (uintptr_t)info.dli_saddr;
    }
    if (!name) {
        char place[QDI_PLACE_BYTES];
        qdi_place_text(address, place);
        snprintf(out, QD_PLACE_MAX, "%s", place);
        return address;
    }
    snprintf(out, QD_PLACE_MAX, "%.160s (%s+0x%llx%s%s)", name, m->name,
             (unsigned long long)(address - m->base), *m->label ? ", " : "", m->label);
    return first;
}

void qd_symbols_close(qd_symbols *s)
{
    if (!s) return;
    for (uint32_t i = 0; i < s->n; i++) qdi_functions_free(s->read[i].functions);
    qd_free(s);
}
