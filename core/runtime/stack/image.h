/*
 * image.h: the program and the libraries and plugins in its memory: which one has an address. The
 * crash line and the stacks of hot threads name places by it. An image that was noted is never
 * forgotten: nothing here unloads one.
 */
#ifndef QD_RUNTIME_STACK_IMAGE_H
#define QD_RUNTIME_STACK_IMAGE_H

#include <quidditch/types.h>
#include <stdbool.h>
#include <stddef.h>

#define QDI_PLACE_BYTES 320u

typedef struct qdi_image {
    uintptr_t base, from, to;     /* from, to: its segments */
    uintptr_t code_from, code_to; /* those that are run */
    bool program;
    char name[64], label[128],
        id[41];     /* label: empty but for a plugin; id: empty when it has none */
    char file[512]; /* empty: longer than that */
} qdi_image;

/* Notes what is loaded and not known yet; `file` (as the linker knows it) gets the label. NULL:
 * none does. [any, one at a time] */
void qdi_images_note(const char *file, const char *label);
/* The image with the address among its segments, or NULL. Also in a signal's handler. */
const qdi_image *qdi_image_of(uintptr_t address);
/* The GNU build id among n bytes of ELF notes as hexadecimal digits; false: there is none. */
bool qdi_build_id(const char *p, size_t n, char out[41]);
/* "my-plugin.so+0x1234 (plugin [my-plugin] 1.0.0, build id 3f…)", NUL-terminated. Also in a
 * signal's handler. */
void qdi_place_text(uintptr_t address, char out[QDI_PLACE_BYTES]);

#endif
