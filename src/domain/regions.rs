//! The regions of cloud providers that gwinstall knows, to find a slip of the finger. A provider opens new ones, so an
//! unknown region is never an error.

use super::name::closest;

const GOOGLE: &str = "global us eu africa-south1 asia-east1 asia-east2 asia-northeast1 asia-northeast2 asia-northeast3 \
    asia-south1 asia-south2 asia-southeast1 asia-southeast2 asia-southeast3 australia-southeast1 australia-southeast2 \
    europe-central2 europe-north1 europe-north2 europe-southwest1 europe-west1 europe-west2 europe-west3 europe-west4 \
    europe-west6 europe-west8 europe-west9 europe-west10 europe-west12 me-central1 me-central2 me-west1 \
    northamerica-northeast1 northamerica-northeast2 northamerica-south1 southamerica-east1 southamerica-west1 \
    us-central1 us-east1 us-east4 us-east5 us-south1 us-west1 us-west2 us-west3 us-west4 us-west8";

const AMAZON: &str = "af-south-1 ap-east-1 ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2 \
    ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6 ap-southeast-7 \
    ca-central-1 ca-west-1 cn-north-1 cn-northwest-1 eu-central-1 eu-central-2 eu-north-1 eu-south-1 eu-south-2 \
    eu-west-1 eu-west-2 eu-west-3 eusc-de-east-1 il-central-1 me-central-1 me-south-1 mx-central-1 sa-east-1 us-east-1 \
    us-east-2 us-gov-east-1 us-gov-west-1 us-west-1 us-west-2";

/// The region of models of Vertex AI whose route names none.
pub const VERTEX: &str = "VERTEXAI_LOCATION";

/// Variables that name a region.
pub const VARIABLES: [&str; 2] = [VERTEX, "AWS_REGION_NAME"];

/// A region that gwinstall does not know.
#[derive(Debug, PartialEq, Eq)]
pub struct Unknown {
    pub provider: &'static str,
    pub closest: Option<&'static str>,
}

/// Whether the value of a variable is an unknown region; `None` also for a variable that names no region.
pub fn unknown(name: &str, value: &str) -> Option<Unknown> {
    let (provider, regions) = match name {
        VERTEX => ("Google Cloud", GOOGLE),
        "AWS_REGION_NAME" => ("AWS", AMAZON),
        _ => return None,
    };
    let value = value.trim();
    let known = || regions.split_ascii_whitespace();
    (!known().any(|region| region == value))
        .then(|| Unknown { provider, closest: closest(value, known()).first().copied() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_region() {
        for (name, typed, near) in [
            ("VERTEXAI_LOCATION", "us-centrall1", "us-central1"),
            ("VERTEXAI_LOCATION", "europe-west-4", "europe-west4"),
            ("AWS_REGION_NAME", "us-east1", "us-east-1"),
            ("AWS_REGION_NAME", "eu-central-11", "eu-central-1"),
        ] {
            assert_eq!(unknown(name, typed).unwrap().closest, Some(near), "{typed}");
        }
        assert_eq!(unknown("AWS_REGION_NAME", "zzz").unwrap().closest, None);
        for (name, region) in
            [("VERTEXAI_LOCATION", "global"), ("AWS_REGION_NAME", "us-east-1"), ("VERTEXAI_PROJECT", "x")]
        {
            assert_eq!(unknown(name, region), None);
        }
    }
}
