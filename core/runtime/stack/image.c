/* image.c: see image.h. The table grows only: a handler reads it while a plugin is loaded. */
#include "runtime/stack/image.h"
#include <elf.h>
#include <link.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define IMAGES_MAX 256u

static qdi_image images[IMAGES_MAX];
static _Atomic uint32_t nimages;

static void copy(char *out, size_t room, const char *text)
{
    size_t n = strnlen(text, room - 1);
    memcpy(out, text, n);
    out[n] = 0;
}

bool qdi_build_id(const char *p, size_t n, char out[41])
{
    static const char hex[] = "0123456789abcdef";
    ElfW(Nhdr) h;
    while (n >= sizeof h) {
        memcpy(&h, p, sizeof h);
        size_t name = ((size_t)h.n_namesz + 3u) & ~(size_t)3,
               desc = ((size_t)h.n_descsz + 3u) & ~(size_t)3;
        p += sizeof h;
        n -= sizeof h;
        if (name > n || desc > n - name) return false;
        if (h.n_type == NT_GNU_BUILD_ID && h.n_namesz == 4 && memcmp(p, "GNU", 4) == 0) {
            uint32_t bytes = h.n_descsz < 20 ? h.n_descsz : 20;
            for (uint32_t i = 0; i < bytes; i++) {
                uint8_t b = (uint8_t)p[name + i];
                out[2 * i] = hex[b >> 4];
                out[2 * i + 1] = hex[b & 15];
            }
            out[2 * bytes] = 0;
            return true;
        }
        p += name + desc;
        n -= name + desc;
    }
    return false;
}

static bool known(uintptr_t base, uintptr_t from)
{
    uint32_t n = atomic_load(&nimages);
    for (uint32_t i = 0; i < n; i++)
        if (images[i].base == base && images[i].from == from) return true;
    return false;
}

static void name_image(qdi_image *m, const char *path)
{
    m->program = !path || !*path;
    if (m->program) {
        copy(m->name, sizeof m->name, "quidditchd");
        copy(m->file, sizeof m->file, "/proc/self/exe");
        return;
    }
    const char *slash = strrchr(path, '/');
    copy(m->name, sizeof m->name, slash ? slash + 1 : path);
    if (strlen(path) < sizeof m->file) copy(m->file, sizeof m->file, path);
}

typedef struct naming {
    const char *file, *label;
} naming;

static int note_image(struct dl_phdr_info *info, size_t size, void *arg)
{
    const naming *name = arg;
    uint32_t n = atomic_load(&nimages);
    qdi_image m = {.base = info->dlpi_addr, .from = UINTPTR_MAX, .code_from = UINTPTR_MAX};
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        if (ph->p_type == PT_NOTE)
            (void)qdi_build_id((const char *)(info->dlpi_addr + ph->p_vaddr), ph->p_memsz, m.id);
        if (ph->p_type != PT_LOAD) continue;
        uintptr_t from = info->dlpi_addr + ph->p_vaddr, to = from + ph->p_memsz;
        if (from < m.from) m.from = from;
        if (to > m.to) m.to = to;
        if (!(ph->p_flags & PF_X)) continue;
        if (from < m.code_from) m.code_from = from;
        if (to > m.code_to) m.code_to = to;
    }
    if (n == IMAGES_MAX || m.to == 0 || known(m.base, m.from)) return 0;
    name_image(&m, info->dlpi_name);
    if (name->file && !m.program && strcmp(info->dlpi_name, name->file) == 0)
        copy(m.label, sizeof m.label, name->label);
    images[n] = m;
    atomic_store_explicit(&nimages, n + 1, memory_order_release);
    return 0;
}

void qdi_images_note(const char *file, const char *label)
{
    naming name = {file, label};
    (void)dl_iterate_phdr(note_image, &name);
}

const qdi_image *qdi_image_of(uintptr_t address)
{
    uint32_t n = atomic_load_explicit(&nimages, memory_order_acquire);
    for (uint32_t i = 0; i < n; i++)
        if (address >= images[i].from && address < images[i].to) return &images[i];
    return NULL;
}

static size_t put(char *out, size_t n, const char *text)
{
    while (*text && n < QDI_PLACE_BYTES - 1) out[n++] = *text++;
    return n;
}

static size_t put_hex(char *out, size_t n, uintptr_t v)
{
    char text[2 * sizeof v + 1];
    size_t at = sizeof text - 1;
    text[at] = 0;
    do {
        text[--at] = "0123456789abcdef"[v % 16];
        v /= 16;
    } while (v);
    return put(out, put(out, n, "0x"), text + at);
}

void qdi_place_text(uintptr_t address, char out[QDI_PLACE_BYTES])
{
    const qdi_image *m = qdi_image_of(address);
    size_t n = 0;
    if (m) {
        n = put_hex(out, put(out, put(out, 0, m->name), "+"), address - m->base);
        n = put(out, put(out, n, " ("), m->label);
        n = put(out, n, *m->label ? ", build id " : "build id ");
        n = put(out, put(out, n, *m->id ? m->id : "none"), ")");
    } else {
        n = put_hex(out, put(out, 0, "no known module, at "), address);
    }
    out[n] = 0;
}
