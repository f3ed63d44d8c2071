// tap.mjs: what the programs of this folder tell, in TAP: check, equal, raises, part, done.
import { createRequire } from 'node:module'
import { isDeepStrictEqual } from 'node:util'
export const need = createRequire(process.env.CLIENT_DIR + '/')
export const url = process.argv[2]
export const folder = process.argv[3] ?? '.'
let n = 0
export function check (ok, what, told) {
  console.log(`${ok ? 'ok' : 'not ok'} ${++n} - ${what}`)
  if (!ok && told !== undefined) console.log(`# ${JSON.stringify(told)?.slice(0, 1500)}`)
}
export const equal = (got, wanted, what) => check(isDeepStrictEqual(got, wanted), what, { got, wanted })
// The call fails with that class, status and word.
export async function raises (kind, status, word, what, call) {
  try {
    await call()
    check(false, what, 'nothing was thrown')
  } catch (e) {
    check(e instanceof kind && e.statusCode === status && (JSON.stringify(e.body ?? '') + e.message).includes(word), what, `${e.constructor.name} ${e.statusCode} ${e.message}`)
  }
}
// What a part throws fails it, and the next one goes on.
export async function part (what, call) {
  try { await call() } catch (e) { check(false, what, `${e.stack}`.split('\n').slice(0, 12).join(' | ')) }
}
export const done = () => console.log(`1..${n}`)
