// One page shell answers every address: a data refresh then replaces data files only, without a build.
import adapter from '@sveltejs/adapter-static';

export default { kit: { adapter: adapter({ fallback: 'index.html', strict: false }) } };
