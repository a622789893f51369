// @quantix-ict/exact-online, from npm. It has the address of the Dutch site in its code, so fetch is sent elsewhere.
const readline = require('node:readline')

const plainFetch = globalThis.fetch
globalThis.fetch = (url, options) =>
  plainFetch(String(url).replace('https://start.exactonline.nl', process.env.BASE_URL), options)

const { Exact } = require('@quantix-ict/exact-online')
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const say = (fields) => process.stdout.write(JSON.stringify(fields) + '\n')
const ask = async (fields) => { say(fields); return (await lines.next()).value }
console.log = (...words) => console.error(...words)

const exact = new Exact({
  clientId: process.env.CLIENT_ID, clientSecret: process.env.CLIENT_SECRET, redirectUri: process.env.REDIRECT_URI,
})
let division
const accounts = (params) =>
  exact.request({ endpoint: '/financial/GLAccounts', params: { $select: 'ID,Code', ...params }, division })

const steps = {
  login: async () => {
    const url = exact.getLoginUrl({}).replace('https://start.exactonline.nl', process.env.BASE_URL)
    const answer = await ask({ consent: url })
    await exact.connect(new URL(answer).searchParams.get('code'))
    division = await exact.getCurrentDivision()
    return `division ${division}`
  },
  refresh: async () => {
    const before = exact.getAccessToken()
    await ask({ later: 605 })
    await accounts({ $top: '1' })
    if (exact.getAccessToken() === before) throw new Error('the access token is still the old one')
    return 'a new access token, after a 401'
  },
  list: async () => `${(await accounts({})).results.length} general ledger accounts`,
  page: async () => {
    const rows = []
    let page = await accounts({})
    for (;;) {
      rows.push(...page.results)
      if (!page.__next) break
      page = await accounts({ $skiptoken: new URL(page.__next).searchParams.get('$skiptoken') })
    }
    if (rows.length <= 60 || new Set(rows.map((row) => row.ID)).size !== rows.length) throw new Error(`${rows.length}`)
    return `${rows.length} of them on ${Math.ceil(rows.length / 60)} pages`
  },
  key: async () => {
    const row = (await accounts({ $top: '3' }))[2]
    const found = await exact.request({ endpoint: `/financial/GLAccounts(guid'${row.ID}')`, division })
    if (found.Code !== row.Code) throw new Error(`${found.Code} instead of ${row.Code}`)
    return `account ${row.Code.trim()}`
  },
}

const main = async () => {
  for (const [step, work] of Object.entries(steps)) {
    try {
      say({ step, came: await work() })
    } catch (error) {
      say({ step, failed: String(error).slice(0, 300) })
    }
  }
  process.exit(0)
}
main()
