// Makes a page of the fake hub a paired station, as an operator would, and gives it its touch.

export async function becomeStation(page, hub, { start = true, beds } = {}) {
  await page.goto(`${hub.url}/?pair=1`)
  await page.click('.pairing button.great')
  await page.waitForSelector('.code')
  hub.people.approve(beds)
  await page.waitForSelector('.unit .tile')
  if (!start) return
  // Where the browser lets a page sound by itself there is no screen to touch.
  await page.waitForSelector('.overlay .great, footer .sound[data-audio="running"]')
  const touch = await page.$('.overlay .great')
  if (touch !== null) await touch.click()
  else await page.click('footer .sound')
  await page.click('.sheet .great:not([disabled])')
}
