// Where the page begins.

import { html, render } from "../vendor/preact.js";
import { startAnnouncing } from "./announce.js";
import { startKeys } from "./keys.js";
import { start } from "./live.js";
import { Shell } from "./shell.js";

render(html`<${Shell} />`, document.getElementById("page"));
startKeys();
startAnnouncing();
start();
