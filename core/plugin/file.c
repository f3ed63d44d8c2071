/*
 * file.c: the files of plugins. The loader is a seam of its own to the system, like dlopen itself:
 * a simulated node loads the real files. Code in a plugin is fully trusted, so what is asked here
 * is whether anybody but root and the service's user could have written it.
 */
#include "plugin/host_int.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_owner(const char *path, const char *what, const struct stat *st, bool build_tree,
                       qd_err *err)
{
    if (st->st_uid != 0 && st->st_uid != geteuid())
        return qd_err_set(err, QD_E_PERMISSION,
                          "%s: %s is owned by another user: wanted root or uid %u, found uid %u; "
                          "chown it",
                          path, what, (unsigned)geteuid(), (unsigned)st->st_uid);
    if (!(st->st_mode & (S_IWGRP | S_IWOTH))) return 0;
    const char *who = st->st_mode & S_IWOTH ? "world" : "group";
    if (build_tree) {
        qd_log_warn("plugin", "%s: %s is %s-writable (mode %04o); accepted in the build tree", path,
                    what, who, (unsigned)(st->st_mode & 07777));
        return 0;
    }
    return qd_err_set(err, QD_E_PERMISSION,
                      "%s: %s is %s-writable: wanted mode %04o, found %04o; chmod go-w it", path,
                      what, who, (unsigned)(st->st_mode & 07755), (unsigned)(st->st_mode & 07777));
}

/* The folder decides as much as the file: who may write there may replace the file. */
static int check_folder(const char *path, bool build_tree, qd_err *err)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    size_t n = slash == path ? 1 : slash ? (size_t)(slash - path) : 1;
    if (n >= sizeof folder) return qd_err_set(err, QD_E_ARG, "%s: name too long", path);
    memcpy(folder, slash ? path : ".", n);
    folder[n] = 0;
    struct stat st;
    if (stat(folder, &st)) return qd_err_errno(err, errno, "%s: folder cannot be read", folder);
    return check_owner(folder, "folder", &st, build_tree, err);
}

static int hash_bytes(qd_plugin_bytes *b, qd_err *err)
{
    unsigned char digest[32];
    size_t n = 0;
    if (!EVP_Q_digest(NULL, "SHA256", NULL, b->p, b->n, digest, &n) || n != sizeof digest)
        return qd_err_set(err, QD_E_INTERNAL, "%s: SHA-256 failed", b->path);
    static const char hex[] = "0123456789abcdef";
    for (unsigned i = 0; i < sizeof digest; i++) {
        b->sha256[i * 2] = hex[digest[i] >> 4];
        b->sha256[i * 2 + 1] = hex[digest[i] & 15];
    }
    b->sha256[64] = 0;
    return 0;
}

int qdi_plugin_file_open(const char *path, bool build_tree, qd_plugin_bytes *out, qd_err *err)
{
    memset(out, 0, sizeof *out);
    size_t len = strlen(path);
    if (len >= sizeof out->path) return qd_err_set(err, QD_E_ARG, "%s: name too long", path);
    memcpy(out->path, path, len + 1);
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ELOOP)
        return qd_err_set(err, QD_E_PERMISSION,
                          "%s: is a symbolic link: wanted a regular file; copy the plugin there",
                          path);
    if (fd < 0 && errno == ENOENT)
        return qd_err_set(err, QD_E_NOTFOUND, "%s: wanted a plugin, found no such file", path);
    if (fd < 0) return qd_err_errno(err, errno, "%s: cannot be opened", path);
    struct stat st;
    int rc = 0;
    if (fstat(fd, &st))
        rc = qd_err_errno(err, errno, "%s: cannot be read", path);
    else if (!S_ISREG(st.st_mode))
        rc =
            qd_err_set(err, QD_E_PERMISSION, "%s: wanted a regular file, found another kind", path);
    else if (st.st_size <= 0 || (uint64_t)st.st_size > QD_PLUGIN_FILE_MAX)
        rc = qd_err_set(err, QD_E_PLUGIN, "%s: wanted 1 byte to 256 MiB, found %lld bytes", path,
                        (long long)st.st_size);
    if (rc == 0) rc = check_owner(path, "file", &st, build_tree, err);
    if (rc == 0) rc = check_folder(path, build_tree, err);
    if (rc == 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED) {
            rc = qd_err_errno(err, errno, "%s: cannot be mapped", path);
        } else {
            out->p = p;
            out->n = (size_t)st.st_size;
            out->dev = st.st_dev;
            out->ino = st.st_ino;
            rc = hash_bytes(out, err);
        }
    }
    close(fd);
    if (rc) qdi_plugin_file_close(out);
    return rc;
}

#define SIGNATURE_BYTES 64

static int read_signature(const char *path, unsigned char out[SIGNATURE_BYTES], qd_err *err)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return qd_err_set(err, QD_E_PERMISSION,
                          "%s: no signature: wanted %d bytes of Ed25519, found no such file; sign "
                          "the plugin, or unset plugins.require_signature",
                          path, SIGNATURE_BYTES);
    unsigned char more[SIGNATURE_BYTES + 1];
    ssize_t n = read(fd, more, sizeof more);
    close(fd);
    if (n != SIGNATURE_BYTES)
        return qd_err_set(err, QD_E_PERMISSION, "%s: wanted %d bytes of Ed25519, found %s", path,
                          SIGNATURE_BYTES, n > SIGNATURE_BYTES ? "more" : "fewer");
    memcpy(out, more, SIGNATURE_BYTES);
    return 0;
}

/* Does the key in this file fit? A file that is no Ed25519 key fits nothing. */
static bool key_fits(const char *path, const qd_plugin_bytes *b, const unsigned char *signature)
{
    BIO *in = BIO_new_file(path, "r");
    EVP_PKEY *key = in ? PEM_read_bio_PUBKEY(in, NULL, NULL, NULL) : NULL;
    EVP_MD_CTX *ctx = key && EVP_PKEY_get_id(key) == EVP_PKEY_ED25519 ? EVP_MD_CTX_new() : NULL;
    bool fits = ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestVerify(ctx, signature, SIGNATURE_BYTES, b->p, b->n) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    BIO_free(in);
    return fits;
}

int qdi_plugin_signature_check(const qd_plugin_bytes *b, qd_str trust_dir, bool build_tree,
                               qd_err *err)
{
    char path[sizeof b->path + 300], folder[4096];
    unsigned char signature[SIGNATURE_BYTES];
    struct stat st;
    snprintf(path, sizeof path, "%s.sig", b->path);
    int rc = read_signature(path, signature, err);
    if (rc) return rc;
    snprintf(folder, sizeof folder, "%.*s", QD_STR_ARG(trust_dir));
    DIR *dir = opendir(folder);
    if (!dir || fstat(dirfd(dir), &st)) {
        rc = qd_err_errno(err, errno, "plugins.trust.d: folder [%s] cannot be read", folder);
        if (dir) closedir(dir);
        return rc;
    }
    rc = check_owner(folder, "folder", &st, build_tree, err);
    bool fits = false;
    unsigned keys = 0;
    for (struct dirent *e; rc == 0 && !fits && (e = readdir(dir));) {
        if (e->d_name[0] == '.' || !qd_str_ends(qd_str_c(e->d_name), QD_STR(".pem"))) continue;
        if (snprintf(path, sizeof path, "%s/%s", folder, e->d_name) >= (int)sizeof path) continue;
        if (lstat(path, &st) || !S_ISREG(st.st_mode)) continue;
        rc = check_owner(path, "file", &st, build_tree, err);
        keys++;
        if (rc == 0) fits = key_fits(path, b, signature);
    }
    closedir(dir);
    if (rc || fits) return rc;
    return qd_err_set(err, QD_E_PERMISSION,
                      "%s: bad signature: wanted one by a key of %s, found none of its %u keys to "
                      "fit; sign it again, or put the signer's key there",
                      b->path, folder, keys);
}

void qdi_plugin_file_close(qd_plugin_bytes *b)
{
    if (b->p) munmap((void *)(uintptr_t)b->p, b->n);
    b->p = NULL;
}

bool qdi_plugin_file_same(const char *path, dev_t dev, ino_t ino)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_dev == dev && st.st_ino == ino;
}

static int by_name(const void *a, const void *b)
{
    return qd_str_cmp(((const qd_plugin_found *)a)->name, ((const qd_plugin_found *)b)->name);
}

static int add_found(qd_plugin_host *h, const char *folder, const char *entry, bool build_tree,
                     qd_plugin_found_list *out)
{
    size_t n = strlen(entry) - 3;
    qd_plugin_found found = {
        .name = qd_arena_str(&h->arena, (qd_str){entry, n}),
        .file = qd_arena_printf(&h->arena, "%s/%s", folder, entry).p,
        .build_tree = build_tree,
    };
    if (!found.name.p || !found.file) return QD_E_NOMEM;
    return qd_vec_push(out, &h->account, found);
}

int qdi_plugin_folder_list(qd_plugin_host *h, qd_str folder, bool build_tree,
                           qd_plugin_found_list *out, qd_err *err)
{
    qd_str path = qd_arena_str(&h->arena, folder);
    size_t first = out->n;
    if (!path.p) return qd_err_nomem(err, "list of plugins");
    DIR *dir = opendir(path.p);
    if (!dir) return qd_err_errno(err, errno, "plugins.path: folder [%s] cannot be read", path.p);
    int rc = 0;
    for (struct dirent *e; rc == 0 && (e = readdir(dir));) {
        qd_str name = qd_str_c(e->d_name);
        if (!qd_str_ends(name, QD_STR(".so")) || name.n == 3 || e->d_name[0] == '.') continue;
        if (out->n == QD_PLUGINS_MAX)
            rc = qd_err_set(err, QD_E_LIMIT, "plugins.path: over %d files up to [%s]",
                            QD_PLUGINS_MAX, path.p);
        else if (add_found(h, path.p, e->d_name, build_tree, out))
            rc = qd_err_nomem(err, "list of plugins");
    }
    closedir(dir);
    if (out->n > first) qsort(out->at + first, out->n - first, sizeof *out->at, by_name);
    return rc;
}
