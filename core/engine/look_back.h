/*
 * look_back.h: did a shard's history go on under numbers that had been acknowledged already? A
 * version that called operations durable too early, or a disk that lost what it had synced, leaves
 * such histories behind; what is on the disk still tells of many of them.
 */
#ifndef QD_ENGINE_LOOK_BACK_H
#define QD_ENGINE_LOOK_BACK_H

#include "base/err.h"
#include "store/store.h"

/*
 * Reads commit point, log and segments of a shard's folder, before its engine is opened, and
 * changes nothing. Each of these, of operations that the log still has, is a trace: a number at or
 * below a known global checkpoint that was given (again) afterwards; a roll-back of such numbers; a
 * document of a segment whose number the log has under another term. text gets the first one, or is
 * empty. Of a log with a range of more than 4 Mi numbers the first ones are compared.
 * QD_E_NOTFOUND: there is no commit point; any error of opening the folder. [worker]
 */
QD_MUST_CHECK
int qd_engine_look_back(qd_store *logs, qd_store *segments, qd_str folder, qd_account *account,
                        char *text, size_t room, qd_err *err);

#endif
