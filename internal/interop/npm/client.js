// Drives a server with the npm package oslc-client, and prints what it sees.
'use strict'

const OSLCServer = require('oslc-client')
require('oslc-client/namespaces')

const [base, title] = process.argv.slice(2)
const server = new OSLCServer(base, 'nobody', 'nothing')
const CM = 'http://open-services.net/ns/cm#'

// say prints a line; fail ends the program.
const say = (what, value) => console.log(what + '=' + value)
const ok = (what, then) => (err, value) => {
	if (err) {
		console.error(what, err)
		process.exit(1)
	}
	then(value)
}

server.connect(OSLCCM10('cmServiceProviders'), ok('connect', () => {
	server.use(title, ok('use', () => {
		const queryBase = server.serviceProvider.queryBase(OSLCCM('ChangeRequest'))
		say('queryBase', queryBase)
		server.query({from: queryBase}, ok('all', (all) => {
			say('all', all.length)
			const ask = {
				from: queryBase, select: 'dcterms:title,st2:ruleStatus', orderBy: '-dcterms:title',
				prefix: 'dcterms=<http://purl.org/dc/terms/>,st2=<https://oslcbus.github.io/ns/st2#>',
				where: 'st2:ruleStatus=false and dcterms:title!="rule 000"'
			}
			server.query(ask, ok('some', (some) => {
				say('some', some.length)
				change(some.find((one) => one.getTitle() === 'rule 030').getURI())
			}))
		}))
	}))
}))

function change(uri) {
	server.read(uri, ok('read', (resource) => {
		say('read', resource.getTitle())
		resource.setDescription('changed by oslc-client')
		server.update(resource, ok('update', () => {
			server.read(uri, ok('read again', (again) => {
				say('updated', again.getDescription())
				server.readCompact(uri, ok('compact', (compact) => {
					say('compact', compact.getTitle())
					server.delete(uri, ok('delete', () => {
						server.read(uri, (err) => {
							say('gone', err)
							process.exit(0)
						})
					}))
				}))
			}))
		}))
	}))
}
