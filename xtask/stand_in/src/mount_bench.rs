//! Prints made-up figures; `STAND_IN_BENCH` is `dies` or `says nothing`.

fn main() {
    let how = std::env::var("STAND_IN_BENCH").unwrap_or_default();
    match how.as_str() {
        "dies" => panic!("the last words"),
        "says nothing" => println!("nothing"),
        _ => {
            println!("warming up {:?}", std::env::args().skip(1).collect::<Vec<_>>());
            println!(
                r#"{{"what":"cold remote read","unit":"MB/s","median":701.0,"runs":[700.0,701.0,999.0]}}"#
            );
            println!(r#"{{"what":"mount and unmount","unit":"ms","median":20.5,"runs":[20.5]}}"#);
        }
    }
}
