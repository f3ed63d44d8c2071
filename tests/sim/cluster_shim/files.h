/*
 * files.h: the file system under coordination-k8s's record.c, in front of whose own includes it
 * stands: a file of a machine of the simulation (cluster_k8s_file.c), that a loss of power tears.
 */
#ifndef QD_TESTS_SIM_FILES_H
#define QD_TESTS_SIM_FILES_H

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int sim_file_open(const char *name);
ssize_t sim_file_read(int fd, void *out, size_t n);
ssize_t sim_file_write(int fd, const void *p, size_t n, off_t at);
int sim_file_sync(int fd);
int sim_file_rename(void);
#define open(name, ...) sim_file_open(name)
#define pread(fd, out, n, at) sim_file_read(fd, out, n)
#define pwrite(fd, p, n, at) sim_file_write(fd, p, n, at)
#define fdatasync(fd) sim_file_sync(fd)
#define fsync(fd) sim_file_sync(fd)
#define rename(from, to) ((void)(from), (void)(to), sim_file_rename())
#define fcntl(fd, command, arg) ((void)(arg), 0)
#define close(fd) ((void)(fd))

#endif
