// Starts a PLC directory and a PDS on 127.0.0.1, with the AppView if
// DB_POSTGRES_URL and REDIS_HOST name what it keeps its index in. It prints the
// addresses as one line of JSON, and ends with its standard input. To each line
// of that it answers with one, when the AppView has seen all that was written.
const net = require('node:net')

// The servers take no host to listen on and would listen on all.
const listen = net.Server.prototype.listen
net.Server.prototype.listen = function (...args) {
  if (typeof args[0] === 'number') {
    const done = args.find((a) => typeof a === 'function')
    return listen.call(this, { port: args[0], host: '127.0.0.1' }, done)
  }
  if (args[0] && typeof args[0] === 'object' && args[0].port !== undefined) {
    args[0].host = '127.0.0.1'
  }
  return listen.apply(this, args)
}

const { TestNetwork, TestNetworkNoAppView } = require(require.resolve('@atproto/dev-env', { paths: [process.cwd()] }))

const pds = { hostname: 'localhost', rateLimitsEnabled: true }
const network = process.env.DB_POSTGRES_URL
  ? TestNetwork.create({ pds, dbPostgresSchema: 'test' })
  : TestNetworkNoAppView.create({ pds })

network.then((network) => {
  const say = (what) => console.log(JSON.stringify(what))
  const at = (server) => server && `http://127.0.0.1:${server.port}`
  say({ pds: at(network.pds), appview: at(network.bsky) })
  require('node:readline')
    .createInterface({ input: process.stdin })
    .on('line', () => network.processAll(30_000).then(() => say({ seen: true }), (err) => say({ error: String(err) })))
    .on('close', () => process.exit(0))
})
