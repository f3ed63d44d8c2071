// elasticdump_work.mjs URL FOLDER: elasticdump takes an index into files and puts it back under another name, settings, mapping, aliases and data. TAP.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { check, done, equal, folder, part, url } from './tap.mjs'

const bin = `${process.env.CLIENT_DIR}/node_modules/elasticdump/bin`
async function rest (method, path, body) {
  const r = await fetch(url + path, { method, headers: body ? { 'content-type': path.includes('_bulk') ? 'application/x-ndjson' : 'application/json' } : {}, body: typeof body === 'string' ? body : JSON.stringify(body) })
  return await r.json()
}
function dump (what, ...args) {
  const r = spawnSync(process.execPath, [`${bin}/elasticdump`, ...args], { encoding: 'utf8', timeout: 100000 })
  check(r.status === 0, what, r.stdout + r.stderr)
}

await part('elasticdump', async () => {
  await rest('PUT', '/books', { settings: { number_of_replicas: 0, analysis: { analyzer: { own: { type: 'custom', tokenizer: 'whitespace', filter: ['lowercase'] } } } }, mappings: { properties: { title: { type: 'text', analyzer: 'own' }, n: { type: 'integer' } } }, aliases: { shelf: {} } })
  await rest('POST', '/books/_bulk?refresh=true', Array.from({ length: 1500 }, (_, i) => `{"index":{"_id":"${i}"}}\n{"title":"Book ${i}","n":${i}}\n`).join(''))
  dump('settings into a file', `--input=${url}/books`, `--output=${folder}/settings.json`, '--type=settings')
  dump('an analyzer into a file', `--input=${url}/books`, `--output=${folder}/analyzer.json`, '--type=analyzer')
  dump('a mapping into a file', `--input=${url}/books`, `--output=${folder}/mapping.json`, '--type=mapping')
  dump('aliases into a file', `--input=${url}/books`, `--output=${folder}/alias.json`, '--type=alias')
  dump('documents into a file', `--input=${url}/books`, `--output=${folder}/data.json`, '--type=data', '--limit=400')
  equal(readFileSync(`${folder}/data.json`, 'utf8').trim().split('\n').length, 1500, 'the file has every document')
  dump('an analyzer from a file', `--input=${folder}/analyzer.json`, `--output=${url}/copied`, '--type=analyzer')
  dump('a mapping from a file', `--input=${folder}/mapping.json`, `--output=${url}/copied`, '--type=mapping')
  dump('documents from a file', `--input=${folder}/data.json`, `--output=${url}/copied`, '--type=data', '--limit=400')
  dump('documents from index to index', `--input=${url}/books`, `--output=${url}/third`, '--type=data', '--limit=500', '--searchBody={"query":{"range":{"n":{"lt":700}}}}')
  dump('a template into a file', `--input=${url}`, `--output=${folder}/template.json`, '--type=index_template')
  await rest('POST', '/copied,third/_refresh')
  equal([(await rest('GET', '/copied/_count')).count, (await rest('GET', '/third/_count')).count], [1500, 700], 'all documents are there')
  equal((await rest('GET', '/copied/_mapping')).copied.mappings.properties.title, { type: 'text', analyzer: 'own' }, 'the mapping is the same')
  dump('search after with a point in time', `--input=${url}/books`, `--output=${folder}/pit.json`, '--type=data', '--limit=400', '--searchAfter=true')
  equal(readFileSync(`${folder}/pit.json`, 'utf8').trim().split('\n').length, 1500, 'the file has every document, too')
  await rest('DELETE', '/books,copied,third')
})
done()
