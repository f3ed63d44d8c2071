// js8.mjs URL [search]: @elastic/elasticsearch 8 bulk-indexes, reads and searches. TAP.
import { createRequire } from 'node:module'
const require = createRequire(process.env.CLIENT_DIR + '/')
const { Client, errors } = require('@elastic/elasticsearch')

const es = new Client({ node: process.argv[2] })
let n = 0
const check = (ok, what) => console.log(`${ok ? 'ok' : 'not ok'} ${++n} - ${what}`)

check(await es.ping(), 'ping')
check((await es.info()).version.number.startsWith('8.'), 'info')
await es.indices.create({
  index: 'films',
  mappings: { properties: { title: { type: 'text' }, year: { type: 'integer' }, tag: { type: 'keyword' } } }
})
const docs = Array.from({ length: 5000 }, (_, i) => ({ id: String(i), title: `film ${i} of ä row`, year: 1900 + i % 100, tag: `t${i % 7}` }))
const stats = await es.helpers.bulk({
  datasource: docs,
  flushBytes: 100000,
  concurrency: 3,
  onDocument: d => ({ index: { _index: 'films', _id: d.id } })
})
check(stats.successful === 5000 && stats.failed === 0, 'helpers.bulk')
const r = await es.bulk({
  operations: [{ create: { _index: 'films', _id: '1' } }, { title: 'x' }, { update: { _index: 'films', _id: '2' } }, { doc: { read: true } }]
})
check(r.errors && r.items[0].create.status === 409 && r.items[1].update.result === 'updated', 'bulk')
check((await es.get({ index: 'films', id: '2' }))._source.read === true, 'get')
check(await es.exists({ index: 'films', id: '2' }) && !(await es.exists({ index: 'films', id: 'none' })), 'exists')
check((await es.mget({ index: 'films', ids: ['1', 'none'] })).docs.map(d => d.found).join() === 'true,false', 'mget')
check((await es.index({ index: 'films', id: '2', document: { title: 'new' } })).result === 'updated', 'index')
try {
  await es.get({ index: 'films', id: 'none' })
  check(false, 'get of nothing')
} catch (e) {
  check(e instanceof errors.ResponseError && e.statusCode === 404, 'get of nothing')
}
check((await es.update({ index: 'films', id: 'u', doc: { a: 1 }, doc_as_upsert: true })).result === 'created', 'update')
check((await es.delete({ index: 'films', id: 'u' })).result === 'deleted', 'delete')
await es.indices.refresh({ index: 'films' })
if (process.argv.includes('search')) {
  check((await es.count({ index: 'films' })).count === 5000, 'count')
  const s = await es.search({
    index: 'films', size: 3, query: { match: { title: 'row' } }
  })
  check(s.hits.total.value === 4999 && s.hits.hits.length === 3, 'search')
  let seen = 0
  for await (const page of es.helpers.scrollDocuments({ index: 'films', size: 500, query: { term: { tag: 't3' } } })) seen += page ? 1 : 0
  check(seen === 714, 'helpers.scrollDocuments')
}
if (process.argv.includes('aggs')) {
  const a = await es.search({ index: 'films', size: 0, aggs: { tags: { terms: { field: 'tag' } } } })
  check(a.aggregations.tags.buckets.length === 7, 'an aggregation')
}
check((await es.indices.delete({ index: 'films' })).acknowledged, 'delete of the index')
console.log(`1..${n}`)
