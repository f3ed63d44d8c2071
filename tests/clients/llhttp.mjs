// llhttp.mjs: node's HTTP parser as a second opinion. Prints its port; answers what it takes with 200.
import http from 'node:http'
const s = http.createServer((q, r) => { q.resume(); q.on('end', () => r.end('ok')) })
s.on('clientError', (e, c) => { if (c.writable) c.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n') })
s.maxHeadersCount = 0
s.listen(0, '127.0.0.1', () => console.log(s.address().port))
