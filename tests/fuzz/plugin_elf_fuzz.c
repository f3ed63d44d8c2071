/*
 * plugin_elf_fuzz.c: any bytes as a plugin's file. The reader may refuse them, with a reason; what
 * it accepts has texts that end, counts within bounds, and symbols that can be walked.
 */
#include "base/str.h"
#include "plugin/elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int look(void *arg, const char *name, bool defined)
{
    size_t *bytes = arg;
    *bytes += strlen(name) + defined;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A copy of exactly this size: reading past the end is seen. */
    uint8_t *copy = qd_alloc(NULL, size);
    qd_elf *elf = qd_calloc(NULL, sizeof *elf);
    qd_err err;
    qd_err_init(&err);
    qd_assert(copy && elf);
    if (size) memcpy(copy, data, size);
    int rc = qd_elf_read(copy, size, elf, &err);
    qd_assert((rc == 0) == (err.code == 0));
    if (rc == 0) {
        size_t bytes = 0;
        qd_assert(elf->nneeded <= QD_ELF_NEEDED_MAX && elf->note.nkinds <= QD_NOTE_KINDS);
        qd_assert(memchr(elf->note.name, 0, sizeof elf->note.name));
        qd_assert(memchr(elf->note.version, 0, sizeof elf->note.version));
        qd_assert(!elf->has_entry || elf->nexports);
        (void)qd_elf_symbols(copy, size, look, &bytes);
    }
    qd_err_fini(&err);
    qd_free(elf);
    qd_free(copy);
    return 0;
}
