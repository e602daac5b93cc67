// pm2 start deploy/pm2/ecosystem.config.cjs
// PM2 passes on the environment that it is started with: load it first, as .env.sample says.

const path = require('node:path')

const root = path.resolve(__dirname, '../..')

const program = (name, instances, killTimeout) => ({
  name,
  cwd: root,
  script: path.join(root, 'target/release', name),
  interpreter: 'none',
  exec_mode: 'fork',
  instances,
  kill_timeout: killTimeout, // longer than the drain: PM2 sends SIGINT, which drains as SIGTERM does, and then SIGKILL
  exp_backoff_restart_delay: 100,
  max_restarts: 1000000,
  time: false
})

module.exports = {
  apps: [program('bellwork-api', 1, 30000), program('start-workers', 1, 40000)]
}
