/*
 * elf.h: what the loader must know of a plugin's file before it is loaded: dlopen runs
 * constructors, so every refusal that can be made from the bytes is made from the bytes.
 *
 * The parser reads an ELF64 shared object held in memory. All offsets, counts and names are bounded
 * by the file's length; nothing in it is trusted. No allocation, no recursion. [any]
 * Sources: System V ABI (gABI 4.1), Linux Standard Base 5 (symbol versioning), gnu-hash by U.
 * Drepper.
 */
#ifndef QD_PLUGIN_ELF_H
#define QD_PLUGIN_ELF_H

#include "base/err.h"
#include <quidditch/abi.h>

#define QD_ELF_NEEDED_MAX 32
#define QD_ELF_NAME_MAX 96
#define QD_ELF_EXPORTS_MAX 8

typedef struct qd_elf {
    bool has_note;
    qd_note note; /* texts NUL-terminated, nkinds within bounds */
    bool textrel, exec_stack, bind_now, nodelete, relro;
    char rpath[QD_ELF_NAME_MAX]; /* RPATH or RUNPATH; empty: none */
    uint32_t nneeded;
    char needed[QD_ELF_NEEDED_MAX][QD_ELF_NAME_MAX];   /* cut when longer */
    uint32_t nexports;                                 /* all of them */
    char exports[QD_ELF_EXPORTS_MAX][QD_ELF_NAME_MAX]; /* the first ones */
    bool has_entry;                                    /* qd_plugin_entry is defined */
    uint32_t glibc_major, glibc_minor;                 /* highest GLIBC_x.y asked for; 0.0: none */
} qd_elf;

/* Reads a shared object of n bytes for this machine. QD_E_PLUGIN with the defect (not ELF,
 * truncated, foreign architecture, not a shared object, broken table), without the file's name. */
QD_MUST_CHECK
int qd_elf_read(const uint8_t *p, size_t n, qd_elf *out, qd_err *err);

/* Calls fn for each dynamic symbol, defined or not, until it returns non-zero; returns that. The
 * bytes must have passed qd_elf_read. */
int qd_elf_symbols(const uint8_t *p, size_t n, int (*fn)(void *arg, const char *name, bool defined),
                   void *arg);

#endif
