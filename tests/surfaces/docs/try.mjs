// Opens the page in a browser, gives it a key, tries an operation, and sees the
// answer; and that nothing was asked of another host.
//
//   node try.mjs BROWSER PICTURE        with API_URL and API_KEY

import assert from "node:assert/strict";
import puppeteer from "puppeteer-core";

const [browserPath, picture] = process.argv.slice(2);
const { API_URL, API_KEY } = process.env;

const browser = await puppeteer.launch({
  executablePath: browserPath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});
try {
  const page = await browser.newPage();
  await page.setViewport({ width: 1280, height: 1600 });
  const asked = [];
  const said = [];
  page.on("request", (request) => asked.push(request.url()));
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(String(error)));

  await page.goto(`${API_URL}/docs`, { waitUntil: "networkidle0" });
  await page.locator("button.authorize").click();
  await page.locator(".auth-container input").fill(API_KEY);
  await page.locator(".auth-btn-wrapper button.authorize").click();
  await page.locator(".auth-btn-wrapper .btn-done").click();

  const operation = "#operations-opportunities-list_opportunities";
  await page.locator(`${operation} .opblock-summary-control`).click();
  await page.locator(`${operation} tr[data-param-name=limit] input`).fill("3");
  await page.locator(`${operation} button.execute`).click();
  const live = await page.waitForSelector(`${operation} .live-responses-table`);
  const status = await live.$eval("tbody td.response-col_status", (cell) => cell.textContent);
  const answer = await live.$eval(".highlight-code", (code) => code.textContent);
  assert.match(status, /^200/);
  assert.match(answer, /"has_more": true/);
  await page.screenshot({ path: picture });

  // An image that is in the style sheet has no host.
  const elsewhere = asked.filter((url) => !url.startsWith(API_URL) && !url.startsWith("data:"));
  assert.deepEqual(elsewhere, []);
  assert.ok(asked.some((url) => url === `${API_URL}/v1/opportunities?limit=3`), asked.join("\n"));
  // What the page is not allowed to do would be told here.
  assert.deepEqual(said, []);
  console.log(`docs: ${asked.length} requests, all to ${API_URL}; the picture is ${picture}`);
} finally {
  await browser.close();
}
