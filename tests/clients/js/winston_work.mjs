// winston_work.mjs URL: winston-elasticsearch logs into an index and a data stream. TAP.
import { check, done, equal, need, part, url } from './tap.mjs'
const winston = need('winston')
const { ElasticsearchTransport } = need('winston-elasticsearch')
const rest = async path => await (await fetch(url + path)).json()

async function log (what, options, index) {
  await part(what, async () => {
    const failed = []
    const transport = new ElasticsearchTransport({ level: 'info', flushInterval: 50, clientOpts: { node: url }, ...options })
    transport.on('error', e => failed.push(String(e.stack).slice(0, 300)))
    const logger = winston.createLogger({ transports: [transport] })
    logger.on('error', e => failed.push(String(e)))
    for (let i = 0; i < 30; i++) logger.info(`line ${i}`, { n: i, ratio: i / 7 })
    logger.debug('below the level')
    await transport.flush()
    const found = async () => { await rest(`/${index}/_refresh`); return (await rest(`/${index}/_search?q=severity:info&size=1`)).hits }
    let hits
    for (let until = Date.now() + 20000; Date.now() < until && hits?.total?.value !== 30;) hits = await found()
    equal([hits?.total?.value, failed], [30, []], `${what}: every line is found`)
    check(/^line/.test(hits?.hits[0]?._source.message) && hits?.hits[0]?._source['@timestamp'], `${what}: a line`, hits)
    logger.end()
  })
}
await log('an index a day', { indexPrefix: 'app-logs', ensureIndexTemplate: true }, 'app-logs-*')
await log('a data stream', { index: 'logs-winston-default', dataStream: true, ensureIndexTemplate: false }, 'logs-winston-default')
await log('an index of its own', { index: 'plain-logs', ensureIndexTemplate: false }, 'plain-logs')
done()
