/* elf.c: the bounded reader of shared objects; see elf.h. Every access goes through view_at. */
#include "plugin/elf.h"
#include "base/bits.h"
#include "base/str.h"
#include <elf.h>

#if defined(__x86_64__)
#define HOST_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define HOST_MACHINE EM_AARCH64
#else
#error "no such machine"
#endif

/* Larger tables than any real plugin has are refused rather than walked. */
#define PHDRS_MAX 64
#define DYNS_MAX 4096
#define SYMBOLS_MAX (1u << 20)
#define VERSIONS_MAX 4096

typedef struct image {
    const uint8_t *p;
    size_t n;
    Elf64_Ehdr eh;
    Elf64_Phdr ph[PHDRS_MAX];
    uint64_t symtab, strtab, strsz, hash, gnu_hash, verneed, verneednum; /* vaddrs and counts */
    uint64_t nsyms;
} image;

/* The bytes [off, off+len) of the file, NULL when they are not all there. */
static const uint8_t *view_at(const image *im, uint64_t off, uint64_t len)
{
    if (off > im->n || len > im->n - off) return NULL;
    return im->p + off;
}

/* The bytes that a loaded image has at vaddr, as far as they come from the file. */
static const uint8_t *view_of(const image *im, uint64_t vaddr, uint64_t len)
{
    for (unsigned i = 0; i < im->eh.e_phnum; i++) {
        const Elf64_Phdr *ph = &im->ph[i];
        if (ph->p_type != PT_LOAD || vaddr < ph->p_vaddr) continue;
        uint64_t in = vaddr - ph->p_vaddr;
        if (in > ph->p_filesz || len > ph->p_filesz - in) continue;
        return view_at(im, ph->p_offset + in, len);
    }
    return NULL;
}

/* A NUL-terminated name of the string table; NULL when it is not one. */
static const char *name_at(const image *im, uint64_t index)
{
    if (index >= im->strsz) return NULL;
    const uint8_t *p = view_of(im, im->strtab + index, 1);
    if (!p) return NULL;
    uint64_t max = im->strsz - index;
    if (max > im->n - (size_t)(p - im->p)) max = im->n - (size_t)(p - im->p);
    return memchr(p, 0, max) ? (const char *)p : NULL;
}

static void copy_name(char *to, const char *from)
{
    size_t n = strlen(from);
    if (n >= QD_ELF_NAME_MAX) n = QD_ELF_NAME_MAX - 1;
    memcpy(to, from, n);
    to[n] = 0;
}

static const char *machine_name(unsigned machine)
{
    switch (machine) {
    case EM_X86_64:
        return "x86-64";
    case EM_AARCH64:
        return "aarch64";
    case EM_386:
        return "i386";
    case EM_ARM:
        return "arm";
    case EM_PPC64:
        return "ppc64";
    case EM_S390:
        return "s390x";
    case EM_RISCV:
        return "riscv";
    default:
        return "another machine";
    }
}

static int read_header(image *im, qd_err *err)
{
    const uint8_t *p = view_at(im, 0, sizeof im->eh);
    if (im->n < EI_NIDENT || memcmp(im->p, ELFMAG, SELFMAG) != 0)
        return qd_err_set(err, QD_E_PLUGIN, "not an ELF file: wanted a shared object, found %s",
                          im->n ? "other bytes" : "an empty file");
    unsigned class = im->p[EI_CLASS], order = im->p[EI_DATA];
    if (class != ELFCLASS64 || order != ELFDATA2LSB)
        return qd_err_set(
            err, QD_E_PLUGIN,
            "foreign architecture: wanted 64-bit little-endian %s, found %s %s (class "
            "%u, order %u)",
            machine_name(HOST_MACHINE),
            class == ELFCLASS64   ? "64-bit"
            : class == ELFCLASS32 ? "32-bit"
                                  : "an unknown word",
            order == ELFDATA2MSB   ? "big-endian"
            : order == ELFDATA2LSB ? "little-endian"
                                   : "in no known order",
            class, order);
    if (!p)
        return qd_err_set(err, QD_E_PLUGIN,
                          "truncated ELF file: wanted a header of %zu bytes, "
                          "found a file of %zu",
                          sizeof im->eh, im->n);
    memcpy(&im->eh, p, sizeof im->eh);
    if (im->eh.e_machine != HOST_MACHINE)
        return qd_err_set(
            err, QD_E_PLUGIN, "foreign architecture: wanted %s, found %s (machine %u)",
            machine_name(HOST_MACHINE), machine_name(im->eh.e_machine), im->eh.e_machine);
    if (im->eh.e_type != ET_DYN)
        return qd_err_set(err, QD_E_PLUGIN, "not a shared object: wanted ELF type %d, found %u",
                          ET_DYN, im->eh.e_type);
    return 0;
}

static int read_segments(image *im, qd_err *err)
{
    const Elf64_Ehdr *eh = &im->eh;
    if (eh->e_phentsize != sizeof(Elf64_Phdr) || eh->e_phnum == 0 || eh->e_phnum > PHDRS_MAX)
        return qd_err_set(err, QD_E_PLUGIN, "broken ELF file: %u program headers of %u bytes",
                          eh->e_phnum, eh->e_phentsize);
    uint64_t bytes = (uint64_t)eh->e_phnum * sizeof(Elf64_Phdr);
    const uint8_t *p = view_at(im, eh->e_phoff, bytes);
    if (!p)
        return qd_err_set(err, QD_E_PLUGIN,
                          "truncated ELF file: program headers end at byte %llu, "
                          "found a file of %zu",
                          (unsigned long long)(eh->e_phoff + bytes), im->n);
    memcpy(im->ph, p, bytes);
    for (unsigned i = 0; i < eh->e_phnum; i++) {
        const Elf64_Phdr *ph = &im->ph[i];
        bool used = ph->p_type == PT_LOAD || ph->p_type == PT_DYNAMIC || ph->p_type == PT_NOTE;
        if (used && !view_at(im, ph->p_offset, ph->p_filesz))
            return qd_err_set(err, QD_E_PLUGIN,
                              "truncated ELF file: segment %u wants bytes %llu to "
                              "%llu, found a file of %zu",
                              i, (unsigned long long)ph->p_offset,
                              (unsigned long long)(ph->p_offset + ph->p_filesz), im->n);
    }
    /* The section headers lie at the end: a file cut anywhere loses them. */
    uint64_t sections = (uint64_t)eh->e_shnum * eh->e_shentsize;
    if (eh->e_shoff && !view_at(im, eh->e_shoff, sections))
        return qd_err_set(err, QD_E_PLUGIN,
                          "truncated ELF file: section headers end at byte %llu, "
                          "found a file of %zu",
                          (unsigned long long)(eh->e_shoff + sections), im->n);
    return 0;
}

static void read_flags(qd_elf *out, int64_t tag, uint64_t value)
{
    if (tag == DT_TEXTREL) out->textrel = true;
    if (tag == DT_BIND_NOW) out->bind_now = true;
    if (tag == DT_FLAGS) {
        if (value & DF_TEXTREL) out->textrel = true;
        if (value & DF_BIND_NOW) out->bind_now = true;
    }
    if (tag == DT_FLAGS_1) {
        if (value & DF_1_NOW) out->bind_now = true;
        if (value & DF_1_NODELETE) out->nodelete = true;
    }
}

/* Addresses first: names need the string table, which may stand behind them. */
static void read_addresses(image *im, int64_t tag, uint64_t value)
{
    switch (tag) {
    case DT_SYMTAB:
        im->symtab = value;
        break;
    case DT_STRTAB:
        im->strtab = value;
        break;
    case DT_STRSZ:
        im->strsz = value;
        break;
    case DT_HASH:
        im->hash = value;
        break;
    case DT_GNU_HASH:
        im->gnu_hash = value;
        break;
    case DT_VERNEED:
        im->verneed = value;
        break;
    case DT_VERNEEDNUM:
        im->verneednum = value;
        break;
    default:
        break;
    }
}

/* How many dynamic symbols there are: no header says it, the hash tables do. */
static uint64_t count_symbols(const image *im)
{
    const uint8_t *p;
    if (im->hash && (p = view_of(im, im->hash, 8))) return qd_get_u32le(p + 4);
    if (!im->gnu_hash || !(p = view_of(im, im->gnu_hash, 16))) return 0;
    uint32_t nbuckets = qd_get_u32le(p), offset = qd_get_u32le(p + 4), bloom = qd_get_u32le(p + 8);
    uint64_t buckets = im->gnu_hash + 16 + (uint64_t)bloom * 8;
    if (nbuckets > SYMBOLS_MAX || !(p = view_of(im, buckets, (uint64_t)nbuckets * 4))) return 0;
    uint64_t last = 0;
    for (uint32_t i = 0; i < nbuckets; i++)
        if (qd_get_u32le(p + (size_t)i * 4) > last) last = qd_get_u32le(p + (size_t)i * 4);
    if (last < offset) return offset; /* only undefined ones */
    uint64_t chains = buckets + (uint64_t)nbuckets * 4;
    for (uint64_t i = last; i < SYMBOLS_MAX; i++) {
        p = view_of(im, chains + (i - offset) * 4, 4);
        if (!p) return 0;
        if (qd_get_u32le(p) & 1) return i + 1;
    }
    return 0;
}

/* One pass over the dynamic section; each entry goes to fn-like code below. */
static int read_dynamic(image *im, qd_elf *out, qd_err *err)
{
    const Elf64_Phdr *dyn = NULL;
    for (unsigned i = 0; i < im->eh.e_phnum; i++)
        if (im->ph[i].p_type == PT_DYNAMIC) dyn = &im->ph[i];
    if (!dyn) return qd_err_set(err, QD_E_PLUGIN, "not a shared object: no dynamic section");
    uint64_t n = dyn->p_filesz / sizeof(Elf64_Dyn);
    if (n > DYNS_MAX)
        return qd_err_set(err, QD_E_PLUGIN, "broken ELF file: %llu dynamic entries",
                          (unsigned long long)n);
    const uint8_t *p = view_at(im, dyn->p_offset, n * sizeof(Elf64_Dyn));
    for (uint64_t i = 0; i < n; i++) {
        int64_t tag = (int64_t)qd_get_u64le(p + i * sizeof(Elf64_Dyn));
        uint64_t value = qd_get_u64le(p + i * sizeof(Elf64_Dyn) + 8);
        if (tag == DT_NULL) n = i;
        read_flags(out, tag, value);
        read_addresses(im, tag, value);
    }
    for (uint64_t i = 0; i < n; i++) {
        int64_t tag = (int64_t)qd_get_u64le(p + i * sizeof(Elf64_Dyn));
        if (tag != DT_NEEDED && tag != DT_RPATH && tag != DT_RUNPATH) continue;
        const char *name = name_at(im, qd_get_u64le(p + i * sizeof(Elf64_Dyn) + 8));
        if (!name) return qd_err_set(err, QD_E_PLUGIN, "broken ELF file: a name lies outside it");
        if (tag != DT_NEEDED)
            copy_name(out->rpath, name);
        else if (out->nneeded < QD_ELF_NEEDED_MAX)
            copy_name(out->needed[out->nneeded++], name);
        else
            return qd_err_set(err, QD_E_PLUGIN, "needs more than %d libraries", QD_ELF_NEEDED_MAX);
    }
    im->nsyms = count_symbols(im);
    if (im->nsyms > SYMBOLS_MAX)
        return qd_err_set(err, QD_E_PLUGIN, "broken ELF file: %llu dynamic symbols",
                          (unsigned long long)im->nsyms);
    return 0;
}

static int each_symbol(const image *im, int (*fn)(void *arg, const char *name, bool defined),
                       void *arg)
{
    for (uint64_t i = 1; i < im->nsyms; i++) {
        const uint8_t *p = view_of(im, im->symtab + i * sizeof(Elf64_Sym), sizeof(Elf64_Sym));
        if (!p) return 0;
        Elf64_Sym sym;
        memcpy(&sym, p, sizeof sym);
        unsigned bind = ELF64_ST_BIND(sym.st_info), vis = ELF64_ST_VISIBILITY(sym.st_other);
        if (bind != STB_GLOBAL && bind != STB_WEAK) continue;
        if (vis == STV_HIDDEN || vis == STV_INTERNAL) continue;
        const char *name = name_at(im, sym.st_name);
        int rc = name && *name ? fn(arg, name, sym.st_shndx != SHN_UNDEF) : 0;
        if (rc) return rc;
    }
    return 0;
}

static int collect_export(void *arg, const char *name, bool defined)
{
    qd_elf *out = arg;
    if (!defined) return 0;
    if (out->nexports < QD_ELF_EXPORTS_MAX) copy_name(out->exports[out->nexports], name);
    out->nexports++;
    if (strcmp(name, "qd_plugin_entry") == 0) out->has_entry = true;
    return 0;
}

static void read_glibc(qd_elf *out, const char *version)
{
    if (strncmp(version, "GLIBC_", 6) != 0) return;
    qd_str rest = qd_str_c(version + 6);
    uint64_t major, minor;
    qd_str a = qd_str_split(&rest, '.');
    qd_str b = rest.p ? qd_str_split(&rest, '.') : QD_STR("0");
    if (!qd_str_u64(a, &major) || !qd_str_u64(b, &minor) || major > 1000 || minor > 1000000) return;
    if (major < out->glibc_major || (major == out->glibc_major && minor <= out->glibc_minor))
        return;
    out->glibc_major = (uint32_t)major;
    out->glibc_minor = (uint32_t)minor;
}

/* Symbol versions that other libraries must have (.gnu.version_r). */
static int read_versions(const image *im, qd_elf *out, qd_err *err)
{
    uint64_t at = im->verneed, steps = 0;
    for (uint64_t i = 0; im->verneed && i < im->verneednum; i++) {
        const uint8_t *p = view_of(im, at, sizeof(Elf64_Verneed));
        if (!p || ++steps > VERSIONS_MAX) goto broken;
        Elf64_Verneed need;
        memcpy(&need, p, sizeof need);
        uint64_t aux = at + need.vn_aux;
        for (unsigned k = 0; k < need.vn_cnt; k++) {
            p = view_of(im, aux, sizeof(Elf64_Vernaux));
            if (!p || ++steps > VERSIONS_MAX) goto broken;
            Elf64_Vernaux va;
            memcpy(&va, p, sizeof va);
            const char *name = name_at(im, va.vna_name);
            if (!name) goto broken;
            read_glibc(out, name);
            if (va.vna_next == 0) break;
            aux += va.vna_next;
        }
        if (need.vn_next == 0) break;
        at += need.vn_next;
    }
    return 0;
broken:
    return qd_err_set(err, QD_E_PLUGIN, "broken ELF file: symbol versions lie outside it");
}

/* Finds our note in one PT_NOTE segment; other notes are stepped over. */
static int read_notes(const uint8_t *p, uint64_t n, uint64_t align, qd_elf *out, qd_err *err)
{
    uint64_t at = 0;
    while (n - at >= 12) {
        uint64_t namesz = qd_get_u32le(p + at), descsz = qd_get_u32le(p + at + 4);
        uint64_t name = at + 12, desc = name + ((namesz + 3) & ~3ull);
        if (namesz > n - name || desc > n || descsz > n - desc) return 0; /* not a list of notes */
        if (namesz == 10 && memcmp(p + name, "Quidditch", 10) == 0 &&
            qd_get_u32le(p + at + 8) == QD_NOTE_TYPE) {
            uint64_t want = sizeof(qd_note) - offsetof(qd_note, magic);
            if (descsz < want || qd_get_u32le(p + desc) != QD_PLUGIN_MAGIC)
                return qd_err_set(err, QD_E_PLUGIN,
                                  "broken note: wanted %llu bytes beginning with "
                                  "\"QDP1\", found %llu",
                                  (unsigned long long)want, (unsigned long long)descsz);
            qd_note *note = &out->note;
            memcpy((char *)note + offsetof(qd_note, magic), p + desc, want);
            note->name[sizeof note->name - 1] = note->version[sizeof note->version - 1] = 0;
            note->build_id[sizeof note->build_id - 1] = 0;
            if (note->nkinds > QD_NOTE_KINDS)
                return qd_err_set(err, QD_E_PLUGIN, "broken note: %u kinds, at most %d",
                                  note->nkinds, QD_NOTE_KINDS);
            out->has_note = true;
            return 0;
        }
        at = desc + ((descsz + align - 1) & ~(align - 1));
        if (at > n) return 0;
    }
    return 0;
}

static int open_image(image *im, qd_elf *out, const uint8_t *p, size_t n, qd_err *err)
{
    memset(im, 0, sizeof *im);
    memset(out, 0, sizeof *out);
    im->p = p;
    im->n = n;
    int rc = read_header(im, err);
    if (rc == 0) rc = read_segments(im, err);
    if (rc == 0) rc = read_dynamic(im, out, err);
    return rc;
}

int qd_elf_read(const uint8_t *p, size_t n, qd_elf *out, qd_err *err)
{
    image im;
    int rc = open_image(&im, out, p, n, err);
    if (rc) return rc;
    out->exec_stack = true; /* without the header the kernel grants it */
    for (unsigned i = 0; rc == 0 && i < im.eh.e_phnum; i++) {
        const Elf64_Phdr *ph = &im.ph[i];
        if (ph->p_type == PT_GNU_STACK) out->exec_stack = (ph->p_flags & PF_X) != 0;
        if (ph->p_type == PT_GNU_RELRO) out->relro = true;
        if (ph->p_type == PT_NOTE && !out->has_note)
            rc = read_notes(p + ph->p_offset, ph->p_filesz, ph->p_align == 8 ? 8 : 4, out, err);
    }
    if (rc == 0) rc = read_versions(&im, out, err);
    if (rc == 0) each_symbol(&im, collect_export, out);
    return rc;
}

int qd_elf_symbols(const uint8_t *p, size_t n, int (*fn)(void *arg, const char *name, bool defined),
                   void *arg)
{
    image im;
    qd_elf scratch;
    if (open_image(&im, &scratch, p, n, NULL)) return 0;
    return each_symbol(&im, fn, arg);
}
