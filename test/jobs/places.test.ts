import t from 'tap'
import { type Place, Places } from '../../src/jobs/places.ts'

const taken = (places: Places, group: string, most = 100): Place[] =>
  Array.from({ length: most }, () => places.take(group)).filter((place) => place !== undefined)

t.test('a group and an owner have their share', async (t) => {
  const places = new Places({ atOnce: 6, atOncePerOwner: 4, atOncePerGroup: 3 })
  const mine = taken(places, 'a/1')
  t.equal(mine.length, 3)
  t.equal(taken(places, 'a/2').length, 1)
  t.equal(taken(places, 'b/1').length, 2)
  t.equal(taken(places, 'c/1').length, 0)
  places.slow(mine[0]!)
  places.leave(mine[0]!)
  t.equal(taken(places, 'c/1').length, 1, 'what is slow is not put elsewhere where there is no elsewhere')
})

t.test('what is slow leaves its place to others, and has fewer until it ends well', async (t) => {
  const places = new Places({ atOnce: 8, atOncePerOwner: 8, atOncePerGroup: 3, slow: { afterMs: 1, atOnce: 5, atOncePerOwner: 4 } })
  const hanging = taken(places, 'a/1')
  t.equal(taken(places, 'a/2').length, 3)
  t.equal(taken(places, 'a/3').length, 2)
  hanging.forEach((place) => places.slow(place))
  t.equal(taken(places, 'a/3', 1).length, 1)
  t.equal(taken(places, 'a/1').length, 0)
  for (const place of hanging.slice(0, 2)) places.leave(place)
  const [probe] = taken(places, 'a/1')
  t.equal(taken(places, 'a/1').length, 0, 'two places, one of which hangs')
  places.endedWell(probe!)
  places.leave(probe!)
  t.equal(taken(places, 'a/1').length, 2, 'and all of them once it is well')
})

t.test('what is slow and well keeps to the slow places', async (t) => {
  const places = new Places({ atOnce: 3, atOncePerOwner: 3, atOncePerGroup: 3, slow: { afterMs: 1, atOnce: 4, atOncePerOwner: 2 } })
  const [first] = taken(places, 'a/1', 1)
  places.slow(first!)
  places.endedWell(first!)
  places.leave(first!)
  t.equal(taken(places, 'a/1').length, 2, 'of which an owner has a share')
  const quick = taken(places, 'a/2')
  t.equal(quick.length, 3)
  places.slow(quick[0]!)
  t.equal(taken(places, 'b/1').length, 0, 'what finds no slow place keeps the quick one')
  places.leave(quick[0]!)
  t.equal(taken(places, 'b/1').length, 1)
})
