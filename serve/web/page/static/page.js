// Everything of the page that moves without asking the server.

import "./theme.js";
import "./viewer.js";
import "./blend.js";
import "./film.js";
import "./live.js";
