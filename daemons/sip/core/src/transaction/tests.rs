//! A row for every timer of RFC 3261 table 4 and RFC 6026, and for matching.

use super::*;
use crate::message::{Message, Status, parse};

fn at(ms: u64) -> Monotonic {
    Monotonic(ms * 1_000_000)
}

fn request(method: &str) -> Request {
    let text = format!(
        "{method} sip:b@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\n\
         From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 7 {method}\r\nRoute: <sip:p;lr>\r\n\r\n"
    );
    match parse(text.as_bytes()).unwrap() {
        Message::Request(request) => request,
        Message::Response(_) => unreachable!(),
    }
}

/// Runs the timers to `until` and gives the milliseconds at which something was sent, timed out or ended.
#[derive(Default, Debug, PartialEq)]
struct Run {
    sent: Vec<u64>,
    timed_out: Option<u64>,
    ended: Option<u64>,
}

fn run(
    from: u64,
    mut deadline: impl FnMut(&mut Vec<Action>, Option<Monotonic>) -> (Option<Monotonic>, bool),
) -> Run {
    let mut run = Run::default();
    let (mut next, _) = deadline(&mut Vec::new(), None);
    while let Some(now) = next {
        let ms = now.0 / 1_000_000;
        if ms > from + 120_000 {
            break;
        }
        let mut actions = Vec::new();
        let (again, over) = deadline(&mut actions, Some(now));
        for action in actions {
            match action {
                Action::Send(_) => run.sent.push(ms),
                Action::TimedOut => run.timed_out = Some(ms),
                Action::Deliver(_) => {}
            }
        }
        if over {
            run.ended = Some(ms);
            break;
        }
        next = again;
    }
    run
}

macro_rules! run {
    ($machine:expr) => {
        run(0, |actions, now| {
            if let Some(now) = now {
                $machine.fire(now, actions);
            }
            ($machine.deadline(), $machine.is_terminated())
        })
    };
}

fn client_invite(transport: Transport, response: Option<u16>) -> InviteClient {
    let mut actions = Vec::new();
    let invite = request("INVITE");
    let mut machine = InviteClient::start(at(0), invite.clone(), transport, &mut actions);
    if let Some(status) = response {
        machine.receive(at(0), invite.respond(Status(status)), &mut actions);
    }
    machine
}

fn client(transport: Transport, response: Option<u16>) -> Client {
    let mut actions = Vec::new();
    let options = request("OPTIONS");
    let mut machine = Client::start(at(0), &options, transport, &mut actions);
    if let Some(status) = response {
        machine.receive(at(0), options.respond(Status(status)), &mut actions);
    }
    machine
}

fn server_invite(transport: Transport, response: u16) -> InviteServer {
    let mut machine = InviteServer::new(transport);
    machine.respond(at(0), &request("INVITE").respond(Status(response)), &mut Vec::new());
    machine
}

use Transport::{Reliable, Unreliable};

#[test]
fn timers_a_and_b_invite_client_calling() {
    let mut udp = client_invite(Unreliable, None);
    let ran = run!(udp);
    assert_eq!(ran.sent, [500, 1500, 3500, 7500, 15500, 31500]);
    assert_eq!((ran.timed_out, ran.ended), (Some(32_000), Some(32_000)));
    let mut tcp = client_invite(Reliable, None);
    assert_eq!(run!(tcp), Run { sent: vec![], timed_out: Some(32_000), ended: Some(32_000) });
}

#[test]
fn no_timer_runs_in_proceeding() {
    let ringing = client_invite(Unreliable, Some(180));
    assert!(ringing.is_proceeding() && ringing.deadline().is_none());
}

#[test]
fn timer_d_invite_client_completed() {
    for (transport, end) in [(Unreliable, 32_000), (Reliable, 0)] {
        let mut machine = client_invite(transport, Some(486));
        assert_eq!(run!(machine), Run { sent: vec![], timed_out: None, ended: Some(end) });
    }
}

#[test]
fn timer_m_invite_client_accepted() {
    for transport in [Unreliable, Reliable] {
        let mut machine = client_invite(transport, Some(200));
        assert_eq!(run!(machine), Run { sent: vec![], timed_out: None, ended: Some(32_000) });
    }
}

#[test]
fn timers_e_and_f_client_trying_and_proceeding() {
    let trying = [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500];
    let mut machine = client(Unreliable, None);
    assert_eq!(run!(machine), Run { sent: trying.to_vec(), timed_out: Some(32_000), ended: Some(32_000) });
    // In Proceeding every further copy waits T2; the one already set stands.
    let mut machine = client(Unreliable, Some(100));
    let proceeding = [500, 4500, 8500, 12500, 16500, 20500, 24500, 28500];
    assert_eq!(
        run!(machine),
        Run { sent: proceeding.to_vec(), timed_out: Some(32_000), ended: Some(32_000) }
    );
    let mut machine = client(Reliable, None);
    assert_eq!(run!(machine), Run { sent: vec![], timed_out: Some(32_000), ended: Some(32_000) });
}

#[test]
fn timer_k_client_completed() {
    for (transport, end) in [(Unreliable, 5_000), (Reliable, 0)] {
        let mut machine = client(transport, Some(200));
        assert_eq!(run!(machine), Run { sent: vec![], timed_out: None, ended: Some(end) });
    }
}

#[test]
fn timers_g_and_h_invite_server_completed() {
    let mut machine = server_invite(Unreliable, 486);
    let copies = [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500];
    assert_eq!(run!(machine), Run { sent: copies.to_vec(), timed_out: Some(32_000), ended: Some(32_000) });
    let mut machine = server_invite(Reliable, 486);
    assert_eq!(run!(machine), Run { sent: vec![], timed_out: Some(32_000), ended: Some(32_000) });
}

#[test]
fn timer_i_invite_server_confirmed() {
    for (transport, end) in [(Unreliable, 5_000), (Reliable, 0)] {
        let mut machine = server_invite(transport, 486);
        assert_eq!(machine.acknowledge(at(0)), Acknowledged::Absorbed);
        assert_eq!(run!(machine), Run { sent: vec![], timed_out: None, ended: Some(end) });
    }
}

#[test]
fn timer_l_invite_server_accepted() {
    for transport in [Unreliable, Reliable] {
        let mut machine = server_invite(transport, 200);
        assert_eq!(machine.acknowledge(at(0)), Acknowledged::Passed);
        let mut actions = Vec::new();
        machine.repeat(&mut actions);
        assert!(actions.is_empty(), "the user agent repeats a 2xx, not the transaction");
        assert_eq!(run!(machine), Run { sent: vec![], timed_out: None, ended: Some(32_000) });
    }
}

#[test]
fn timer_j_server_completed() {
    for (transport, end) in [(Unreliable, 32_000), (Reliable, 0)] {
        let mut machine = Server::new(transport);
        machine.respond(at(0), &request("OPTIONS").respond(Status(200)), &mut Vec::new());
        let ran = run(0, |_, now| {
            now.into_iter().for_each(|now| machine.fire(now));
            (machine.deadline(), machine.is_terminated())
        });
        assert_eq!(ran, Run { sent: vec![], timed_out: None, ended: Some(end) });
    }
}

#[test]
fn a_refusal_is_acknowledged_within_the_transaction() {
    let mut actions = Vec::new();
    let invite = request("INVITE");
    let mut machine = InviteClient::start(at(0), invite.clone(), Unreliable, &mut actions);
    actions.clear();
    machine.receive(at(1), invite.respond(Status(603)).tagged(b"peer"), &mut actions);
    let Action::Send(bytes) = &actions[0] else { panic!("no ACK") };
    let Ok(Message::Request(ack)) = parse(bytes) else { panic!("no request") };
    assert_eq!((ack.method, ack.head.cseq.number), (Method::Ack, 7));
    assert_eq!(ack.head.vias[0].branch(), Some(&b"z9hG4bKx"[..]));
    assert_eq!(ack.head.to.tag(), Some(&b"peer"[..]));
    assert!(ack.head.headers.first(&crate::message::Name::Route).is_some());
    machine.receive(at(2), invite.respond(Status(603)).tagged(b"peer"), &mut actions);
    assert_eq!(actions.len(), 3, "each copy of the refusal is acknowledged, and delivered once");
}

#[test]
fn the_table_matches_by_branch_sent_by_and_method() {
    let mut table = Transactions::new(2);
    let flow = Flow::udp(0, "192.0.2.1:5060".parse().unwrap());
    let invite = request("INVITE");
    let Incoming::New(id) = table.receive_request(at(0), &invite, flow) else { panic!("not new") };
    table.respond(at(0), id, &invite.respond(Status(100)));
    assert_eq!(table.receive_request(at(1), &invite, flow), Incoming::Absorbed);
    assert_eq!(table.sends().len(), 2, "the copy is answered with the last response");
    assert_eq!(table.cancelled_by(&request("CANCEL")).map(|(id, _)| id), Some(id));
    assert_eq!(table.receive_request(at(2), &request("ACK"), flow), Incoming::Absorbed);
    assert!(matches!(table.receive_request(at(2), &request("OPTIONS"), flow), Incoming::New(_)));
    assert_eq!(table.receive_request(at(2), &request("INFO"), flow), Incoming::Full);
    table.respond(at(3), id, &invite.respond(Status(200)));
    assert_eq!(table.receive_request(at(4), &request("ACK"), flow), Incoming::Ack);
    table.fire(at(32_003));
    assert_eq!(table.len(), 1, "timer L ended the INVITE");
}

#[test]
fn peers_of_rfc_2543_match_by_their_fields() {
    let strip = |mut request: Request| {
        request.head.vias[0].params.remove("branch");
        request
    };
    let mut table = Transactions::new(9);
    let flow = Flow::udp(0, "192.0.2.1:5060".parse().unwrap());
    assert!(matches!(table.receive_request(at(0), &strip(request("INVITE")), flow), Incoming::New(_)));
    assert_eq!(table.receive_request(at(0), &strip(request("INVITE")), flow), Incoming::Absorbed);
    let mut other = strip(request("INVITE"));
    other.head.cseq.number = 8;
    assert!(matches!(table.receive_request(at(0), &other, flow), Incoming::New(_)));
}
