// elasticsearch_work.mjs URL: what programs do with @elastic/elasticsearch 8 and 9, and its helpers. TAP.
import { check, done, equal, need, part, raises, url } from './tap.mjs'
const { Client, errors } = need('@elastic/elasticsearch')

const es = new Client({ node: url })
const ids = r => r.hits.hits.map(h => h._id)

await part('indices', async () => {
  check(await es.ping(), 'ping')
  await es.cluster.putComponentTemplate({ name: 'films-fields', template: { mappings: { properties: { title: { type: 'text' }, year: { type: 'integer' }, tag: { type: 'keyword' } } } } })
  await es.indices.putIndexTemplate({
    name: 'films',
    index_patterns: ['films-*'],
    composed_of: ['films-fields'],
    template: { settings: { number_of_shards: 2, number_of_replicas: 0 }, mappings: { properties: { cast: { type: 'nested', properties: { name: { type: 'keyword' }, part: { type: 'text' } } } } }, aliases: { films: {} } }
  })
  check((await es.indices.create({ index: 'films-1' })).acknowledged, 'create by templates')
  equal((await es.indices.getMapping({ index: 'films-1' }))['films-1'].mappings.properties.cast.type, 'nested', 'getMapping')
  await raises(errors.ResponseError, 400, 'resource_already_exists_exception', 'create of what exists', () => es.indices.create({ index: 'films-1' }))
  check(await es.indices.exists({ index: 'films-1' }) && !(await es.indices.exists({ index: 'none' })), 'exists')
})
await part('helpers', async () => {
  const docs = Array.from({ length: 3000 }, (_, i) => ({ id: String(i), title: `long film ${i}`, year: 1900 + i % 100, tag: `t${i % 6}`, made: new Date(Date.UTC(2024, i % 12, 5)), cast: [{ name: `n${i % 9}`, part: 'the hero' }] }))
  const dropped = []
  let s = await es.helpers.bulk({ datasource: docs, flushBytes: 50000, concurrency: 3, refreshOnCompletion: 'films-1', onDocument: d => [{ index: { _index: 'films-1', _id: d.id } }, d] })
  equal([s.successful, s.failed], [3000, 0], 'helpers.bulk')
  s = await es.helpers.bulk({ datasource: [{ year: 'old' }, { year: 1 }], onDocument: () => ({ create: { _index: 'films-1' } }), onDrop: d => dropped.push(d.status) })
  equal([s.successful, s.failed, dropped], [1, 1, [400]], 'what helpers.bulk drops')
  let seen = 0
  for await (const d of es.helpers.scrollDocuments({ index: 'films-1', size: 90, query: { term: { tag: 't3' } } })) seen += d.tag === 't3' ? 1 : 0
  equal(seen, 500, 'helpers.scrollDocuments')
  seen = 0
  for await (const r of es.helpers.scrollSearch({ index: 'films-1', size: 100, query: { term: { tag: 't1' } } })) seen += r.documents.length
  equal(seen, 500, 'helpers.scrollSearch')
  const m = es.helpers.msearch({ operations: 4 })
  const all = await Promise.all([0, 1, 2, 3, 4].map(i => m.search({ index: 'films-1' }, { size: 1, query: { term: { tag: `t${i}` } } })))
  await m.stop()
  equal(all.map(r => [r.body.status, r.documents[0].tag]), [0, 1, 2, 3, 4].map(i => [200, `t${i}`]), 'helpers.msearch')
  equal((await es.helpers.search({ index: 'films-1', size: 2, query: { match_all: {} } })).length, 2, 'helpers.search')
})
await part('search', async () => {
  const r = await es.search({
    index: 'films',
    size: 2,
    query: { bool: { must: [{ match: { title: 'long' } }], filter: [{ range: { year: { gte: 1990 } } }, { nested: { path: 'cast', query: { term: { 'cast.name': 'n4' } }, inner_hits: {} } }] } },
    sort: [{ year: 'desc' }, { 'made': 'asc' }],
    highlight: { fields: { title: {} } },
    _source: { includes: ['title', 'year'] },
    fields: ['tag'],
    track_total_hits: true,
    aggs: {
      tags: { terms: { field: 'tag' }, aggs: { y: { max: { field: 'year' } } } },
      months: { date_histogram: { field: 'made', calendar_interval: 'month', time_zone: 'Europe/Vienna' } },
      years: { histogram: { field: 'year', interval: 5, min_doc_count: 1 } },
      global: { global: {}, aggs: { n: { value_count: { field: 'year' } } } }
    }
  })
  equal([r.hits.total, r.hits.hits[0]._source.year, r.hits.hits[0].highlight.title[0].startsWith('<em>long</em>')], [{ value: r.hits.total.value, relation: 'eq' }, 1999, true], 'search')
  check(r.hits.total.value > 20 && r.hits.hits[0].inner_hits.cast.hits.total.value === 1 && r.hits.hits[0].fields.tag.length === 1, 'nested, inner_hits and fields')
  equal([r.aggregations.global.n.value, r.aggregations.years.buckets.map(b => b.key)], [3001, [1990, 1995]], 'aggregations')
  equal((await es.count({ index: 'films', query: { prefix: { tag: 't' } } })).count, 3000, 'count')
  const { id } = await es.openPointInTime({ index: 'films-1', keep_alive: '1m' })
  let [seen, after, pages] = [0, undefined, 0]
  for (;;) {
    const p = await es.search({ size: 800, pit: { id, keep_alive: '1m' }, sort: [{ made: { order: 'asc', format: 'strict_date_optional_time_nanos', missing: '_last' } }, { _shard_doc: 'desc' }], ...(after ? { search_after: after } : {}) })
    if (p.hits.hits.length === 0) break
    seen += p.hits.hits.length
    after = p.hits.hits.at(-1).sort
    pages++
  }
  equal([seen, pages], [3001, 4], 'a point in time and search_after')
  check((await es.closePointInTime({ id })).succeeded, 'closePointInTime')
  equal((await es.fieldCaps({ index: 'films-1', fields: '*' })).fields.year.integer.searchable, true, 'fieldCaps')
  equal((await es.indices.analyze({ analyzer: 'standard', text: 'Ab cD' })).tokens.map(t => t.token), ['ab', 'cd'], 'analyze')
  equal(ids(await es.search({ index: 'films-1', query: { query_string: { query: 'title:"film 77" OR title:1234' } } })).sort(), ['1234', '77'], 'query_string')
})
await part('writes', async () => {
  const w = await es.index({ index: 'films-1', id: 'w', document: { year: 1, tag: 'w' } })
  equal([w.result, w._version], ['created', 1], 'index')
  await raises(errors.ResponseError, 409, 'version_conflict_engine_exception', 'an old sequence number', () => es.index({ index: 'films-1', id: 'w', if_seq_no: w._seq_no + 5, if_primary_term: 1, document: {} }))
  equal((await es.update({ index: 'films-1', id: 'w', script: { source: 'ctx._source.year += params.n', params: { n: 4 } }, _source: true })).get._source.year, 5, 'update by a script')
  equal((await es.update({ index: 'films-1', id: 'u', doc: { tag: 'u' }, doc_as_upsert: true })).result, 'created', 'doc_as_upsert')
  const b = await es.bulk({ refresh: true, operations: [{ create: { _index: 'films-1', _id: 'w' } }, {}, { update: { _index: 'films-1', _id: 'u' } }, { script: 'ctx.op = "delete"' }, { delete: { _index: 'films-1', _id: 'none' } }] })
  equal(b.items.map(i => Object.values(i)[0].status), [409, 200, 404], 'bulk')
  await raises(errors.ResponseError, 404, 'index_not_found_exception', 'search of no index', () => es.search({ index: 'none' }))
  await raises(errors.ResponseError, 404, '"found":false', 'get of nothing', () => es.get({ index: 'films-1', id: 'none' }))
  await raises(errors.ResponseError, 400, 'parsing_exception', 'a query that does not parse', () => es.search({ index: 'films-1', query: { none: {} } }))
  equal((await es.mget({ docs: [{ _index: 'films-1', _id: '1' }, { _index: 'films-1', _id: 'u' }] })).docs.map(d => d.found), [true, false], 'mget')
  equal((await es.updateByQuery({ index: 'films-1', query: { term: { tag: 't1' } }, script: { source: 'ctx._source.year = 7' }, refresh: true })).updated, 500, 'updateByQuery')
  equal((await es.deleteByQuery({ index: 'films-1', query: { term: { tag: 't2' } }, refresh: true })).deleted, 500, 'deleteByQuery')
  equal((await es.reindex({ source: { index: 'films-1', query: { term: { tag: 't1' } } }, dest: { index: 'seven' }, refresh: true })).created, 500, 'reindex')
  const { task } = await es.reindex({ source: { index: 'films-1' }, dest: { index: 'eight' }, wait_for_completion: false })
  check((await es.tasks.get({ task_id: task, wait_for_completion: true, timeout: '30s' })).completed, 'reindex as a task')
})
await part('aliases, streams, pipelines', async () => {
  await es.indices.updateAliases({ actions: [{ add: { index: 'seven', alias: 'odd', filter: { term: { year: 7 } }, is_write_index: true } }] })
  equal([(await es.count({ index: 'odd' })).count, await es.indices.existsAlias({ name: 'odd' })], [500, true], 'a filtered alias')
  check((await es.indices.rollover({ alias: 'odd', new_index: 'odd-000002', conditions: { max_docs: 10 } })).rolled_over, 'rollover')
  await es.indices.putIndexTemplate({ name: 'logs-x', index_patterns: ['logs-x-*'], data_stream: {}, priority: 300, template: { lifecycle: { data_retention: '30d' } } })
  await es.indices.createDataStream({ name: 'logs-x-a' })
  await es.index({ index: 'logs-x-a', document: { '@timestamp': new Date(), message: 'm' }, op_type: 'create', refresh: 'wait_for' })
  const stream = (await es.indices.getDataStream({ name: 'logs-x-a' })).data_streams[0]
  equal([stream.status, stream.lifecycle.data_retention, (await es.count({ index: 'logs-x-a' })).count], ['YELLOW', '30d', 1], 'a data stream')
  await raises(errors.ResponseError, 400, 'illegal_argument_exception', 'index into a data stream', () => es.index({ index: 'logs-x-a', id: '1', document: { '@timestamp': 1 } }))
  await es.indices.deleteDataStream({ name: 'logs-x-a' })
  await es.ingest.putPipeline({ id: 'p', processors: [{ dissect: { field: 'm', pattern: '%{a} %{b}' } }, { convert: { field: 'b', type: 'integer' } }, { uppercase: { field: 'a', if: "ctx.b > 3" } }] })
  equal((await es.ingest.simulate({ id: 'p', docs: [{ _source: { m: 'x 4' } }] })).docs[0].doc._source, { m: 'x 4', a: 'X', b: 4 }, 'a pipeline')
  equal(ids(await es.search({ index: 'films-1', query: { script_score: { query: { term: { tag: 't3' } }, script: { source: "doc['year'].value" } } }, sort: ['_score', { year: 'desc' }], size: 1 })).length, 1, 'script_score')
})
await part('vectors', async () => {
  await es.indices.create({ index: 'vectors', mappings: { properties: { v: { type: 'dense_vector', dims: 2, similarity: 'l2_norm' }, k: { type: 'keyword' } } } })
  await es.bulk({ index: 'vectors', refresh: true, operations: Array.from({ length: 40 }, (_, i) => [{ index: { _id: String(i) } }, { v: [i, 1], k: `k${i % 2}` }]).flat() })
  equal(ids(await es.search({ index: 'vectors', knn: { field: 'v', query_vector: [7, 1], k: 2, num_candidates: 20, filter: { term: { k: 'k1' } } } }))[0], '7', 'knn')
  equal(ids(await es.search({ index: 'vectors', query: { script_score: { query: { match_all: {} }, script: { source: "1 / (1 + l2norm(params.q, 'v'))", params: { q: [9, 1] } } } }, size: 1 })), ['9'], 'l2norm')
})
await part('administration', async () => {
  equal((await es.cluster.health({ wait_for_status: 'yellow', timeout: '5s' })).timed_out, false, 'cluster.health')
  check((await es.cat.indices({ format: 'json' })).some(i => i.index === 'films-1'), 'cat.indices')
  check((await es.nodes.stats({ metric: ['jvm', 'os'] }))._nodes.successful === 1, 'nodes.stats')
  check((await es.indices.stats({ index: 'films-1' })).indices['films-1'].primaries.docs.count > 0, 'indices.stats')
  await raises(errors.ResponseError, 400, 'security.get_user', 'security is refused by name', () => es.security.getUser())
  const r = await es.indices.delete({ index: ['films-1', 'seven', 'eight', 'vectors'] }, { meta: true })
  check(r.statusCode === 200 && r.headers['x-elastic-product'] === 'Elasticsearch', 'delete')
})
await es.close()
done()
