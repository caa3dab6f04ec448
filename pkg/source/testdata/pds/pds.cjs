// Starts a PLC directory and a PDS on 127.0.0.1, prints the PDS's address as
// one line of JSON, and ends with its standard input.
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

const { TestNetworkNoAppView } = require(require.resolve('@atproto/dev-env', { paths: [process.cwd()] }))

TestNetworkNoAppView.create({ pds: { hostname: 'localhost', rateLimitsEnabled: true } }).then((network) => {
  console.log(JSON.stringify({ url: `http://127.0.0.1:${network.pds.port}` }))
  process.stdin.on('end', () => process.exit(0)).resume()
})
