import "./style.css";
import { render } from "preact";
import { Page } from "./Page";
import { follow } from "./stream";

const root = document.getElementById("page");
if (root) render(<Page />, root);
follow();
