//! Who is in by the relay's roster: removals, epochs given back, notices of knocks.

use super::*;

/// One invite, and a fresh key for each knock: those who moderate are told once.
#[test]
fn knock_after_withdrawn_one_is_quiet() {
    let mut bench = Bench::new(RoomNumbers::default());
    let token = bench.invite(99, Millis::NEVER);
    let mut knocks = |number, at| {
        let (proof, knock, _) = knocker(number, &token);
        bench
            .run(|batch| {
                door::knock(batch, Millis(at), &proof, &knock)?;
                let told = batch.published.iter().any(|published| published.knocked);
                door::cancel(batch, &proof)?;
                Ok(told)
            })
            .unwrap()
    };
    let told: Vec<bool> = (1..=5).map(|number| knocks(number, START + 1)).collect();
    assert_eq!(told, [true, false, false, false, false]);
    assert!(knocks(6, START + 1 + 10 * 60_000), "ten minutes later it is told again");
    // Somebody who waits does not silence others who come by the same invite.
    let token = Secret32::new([9; 32]);
    bench.add_invite(7, &token, 9, Millis::NEVER).unwrap();
    for number in [11, 12] {
        let (proof, knock, _) = knocker(number, &token);
        let told = bench
            .run(|batch| {
                door::knock(batch, Millis(START), &proof, &knock)?;
                Ok(batch.published.iter().any(|published| published.knocked))
            })
            .unwrap();
        assert!(told);
    }
}
