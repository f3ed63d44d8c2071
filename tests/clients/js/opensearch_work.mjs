// opensearch_work.mjs URL: what programs do with @opensearch-project/opensearch 3, and its helpers. TAP.
import { check, done, equal, need, part, raises, url } from './tap.mjs'
const { Client, errors } = need('@opensearch-project/opensearch')

const os = new Client({ node: url })
const ids = r => r.body.hits.hits.map(h => h._id)

await part('indices', async () => {
  equal((await os.info()).body.version.distribution, 'opensearch', 'info')
  await os.indices.putIndexTemplate({ name: 'films', body: { index_patterns: ['films-*'], template: { settings: { number_of_replicas: 0 }, mappings: { properties: { title: { type: 'text' }, year: { type: 'integer' }, tag: { type: 'keyword' }, cast: { type: 'nested' } } } } } })
  check((await os.indices.create({ index: 'films-1' })).body.acknowledged, 'create by a template')
  await raises(errors.ResponseError, 400, 'resource_already_exists_exception', 'create of what exists', () => os.indices.create({ index: 'films-1' }))
  const docs = Array.from({ length: 1200 }, (_, i) => ({ title: `long film ${i}`, year: 1900 + i % 100, tag: `t${i % 6}`, cast: [{ name: `n${i % 3}` }] }))
  const s = await os.helpers.bulk({ datasource: docs, flushBytes: 40000, refreshOnCompletion: true, onDocument: d => ({ index: { _index: 'films-1' } }) })
  equal([s.successful, s.failed], [1200, 0], 'helpers.bulk')
  let seen = 0
  for await (const d of os.helpers.scrollDocuments({ index: 'films-1', size: 70, body: { query: { term: { tag: 't3' } } } })) seen += d.tag === 't3' ? 1 : 0
  equal(seen, 200, 'helpers.scrollDocuments')
})
await part('search', async () => {
  const r = (await os.search({ index: 'films-1', body: { size: 1, query: { bool: { must: { match: { title: '77' } }, filter: { nested: { path: 'cast', query: { match: { 'cast.name': 'n2' } } } } } }, highlight: { fields: { title: {} } }, aggs: { t: { terms: { field: 'tag' } }, y: { stats: { field: 'year' } } } } })).body
  equal([r.hits.total.value, r.hits.hits[0].highlight.title, r.aggregations.y.max], [1, ['long film <em>77</em>'], 1977], 'search')
  const pit = (await os.createPit({ index: 'films-1', keep_alive: '1m' })).body.pit_id
  const p = (await os.search({ body: { size: 500, pit: { id: pit, keep_alive: '1m' }, sort: [{ year: 'asc' }, { _doc: 'asc' }] } })).body
  const q = (await os.search({ body: { size: 1000, pit: { id: pit }, sort: [{ year: 'asc' }, { _doc: 'asc' }], search_after: p.hits.hits.at(-1).sort } })).body
  equal([p.hits.hits.length, q.hits.hits.length], [500, 700], 'a point in time and search_after')
  check((await os.deletePit({ body: { pit_id: [pit] } })).body.pits[0].successful, 'deletePit')
  equal((await os.msearch({ body: [{ index: 'films-1' }, { size: 0 }, { index: 'none' }, {}] })).body.responses.map(x => x.status), [200, 404], 'msearch')
})
await part('writes', async () => {
  equal((await os.index({ index: 'films-1', id: 'w', body: { year: 1 }, refresh: true })).body.result, 'created', 'index')
  equal((await os.update({ index: 'films-1', id: 'w', body: { script: { source: 'ctx._source.year++' } } })).body._version, 2, 'update')
  await raises(errors.ResponseError, 409, 'version_conflict_engine_exception', 'create of what exists', () => os.create({ index: 'films-1', id: 'w', body: {} }))
  await raises(errors.ResponseError, 404, '', 'get of nothing', () => os.get({ index: 'films-1', id: 'none' }))
  await raises(errors.ResponseError, 404, 'index_not_found_exception', 'search of no index', () => os.search({ index: 'none' }))
  await raises(errors.ResponseError, 400, 'parsing_exception', 'a query that does not parse', () => os.search({ index: 'films-1', body: { query: { none: {} } } }))
  equal((await os.updateByQuery({ index: 'films-1', refresh: true, body: { query: { term: { tag: 't1' } }, script: { source: 'ctx._source.year = 7' } } })).body.updated, 200, 'updateByQuery')
  equal((await os.reindex({ body: { source: { index: 'films-1', query: { term: { tag: 't1' } } }, dest: { index: 'seven' } }, refresh: true })).body.created, 200, 'reindex')
  equal((await os.deleteByQuery({ index: 'films-1', body: { query: { term: { tag: 't2' } } }, refresh: true })).body.deleted, 200, 'deleteByQuery')
  await os.indices.updateAliases({ body: { actions: [{ add: { index: 'seven', alias: 's', is_write_index: true } }] } })
  check((await os.indices.rollover({ alias: 's', new_index: 'seven-000002', body: { conditions: { max_docs: 1 } } })).body.rolled_over, 'rollover')
  await os.ingest.putPipeline({ id: 'p', body: { processors: [{ set: { field: 'a', value: 1 } }, { trim: { field: 'b' } }] } })
  equal((await os.ingest.simulate({ id: 'p', body: { docs: [{ _source: { b: ' x ' } }] } })).body.docs[0].doc._source, { a: 1, b: 'x' }, 'a pipeline')
})
await part('vectors', async () => {
  await os.indices.create({ index: 'vectors', body: { settings: { 'index.knn': true }, mappings: { properties: { v: { type: 'knn_vector', dimension: 2 } } } } })
  await os.bulk({ index: 'vectors', refresh: true, body: Array.from({ length: 40 }, (_, i) => [{ index: { _id: String(i) } }, { v: [i, 1] }]).flat() })
  equal(ids(await os.search({ index: 'vectors', body: { query: { knn: { v: { vector: [7, 1], k: 2 } } } } }))[0], '7', 'knn')
})
await part('administration', async () => {
  check((await os.cluster.health()).body.discovered_cluster_manager, 'cluster.health')
  check((await os.cat.indices({ format: 'json' })).body.some(i => i.index === 'films-1'), 'cat.indices')
  check((await os.indices.delete({ index: 'films-1,seven,vectors' })).body.acknowledged, 'delete')
})
await os.close()
done()
